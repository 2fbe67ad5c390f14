//! What an interface is called: as asked for, or by the first number that is free.

use pontoon_model::endpoint::CableEnd;
use pontoon_model::op::Netns;
use pontoon_model::{Endpoint, IfName, SandboxId};

use crate::EngineError;
use crate::journal::Preparing;

/// Where an interface is to be, and what is known to be there.
pub(crate) struct Home<'a> {
    /// The sandbox, or the host.
    pub(crate) sandbox: Option<&'a SandboxId>,
    /// Its name, for errors.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) netns: &'a Netns,
    /// Its endpoints.
    pub(crate) endpoints: Vec<&'a Endpoint>,
    /// Ends of a cable that are named already.
    pub(crate) before: &'a [CableEnd],
    /// Whether the namespace is only planned, and is not there to be asked.
    pub(crate) imagined: bool,
}

impl Home<'_> {
    /// The name asked for, or the first free number after `prefix`.
    pub(crate) fn choose(
        &self,
        at: &mut Preparing<'_, '_>,
        wanted: Option<IfName>,
        prefix: &str,
    ) -> Result<IfName, EngineError> {
        let cables = match self.sandbox {
            Some(id) => at.tx.cables_of_sandbox(id)?,
            None => Vec::new(),
        };
        let mut taken = |name: &IfName| -> Result<bool, EngineError> {
            let mut ends = cables.iter().flat_map(|cable| &cable.ends).chain(self.before);
            let known = ends.any(|end| end.sandbox.as_ref() == self.sandbox && end.ifname == *name)
                || self.endpoints.iter().any(|endpoint| endpoint.ifname == *name);
            let seen = !self.imagined && at.executor.link(self.netns, name.as_str())?.is_some();
            Ok(known || seen)
        };
        if let Some(name) = wanted {
            return match taken(&name)? {
                true => Err(EngineError::InterfaceTaken { container: self.name.clone(), name: name.into() }),
                false => Ok(name),
            };
        }
        let mut number = 0_u32;
        loop {
            let name: IfName = format!("{prefix}{number}").parse()?;
            if !taken(&name)? {
                return Ok(name);
            }
            number += 1;
        }
    }
}

//! Requests with the words to report their failure in.

use std::fmt;

use pontoon_model::Diagnose;
use pontoon_netlink::wire::Batch;

use super::{Answer, Socket};
use crate::error::{Cause, KernelError, Operation, Verb};

/// Requests for one namespace, to be sent together, each with what it is for.
///
/// The modules of this crate add their requests as methods: [`Requests::set_link`], [`Requests::add_address`], ….
#[derive(Debug, Clone, Default)]
pub struct Requests {
    batch: Batch,
    purposes: Vec<(Operation, String)>,
}

/// One request of a batch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch, as [`Requests::push`] returned it.
    pub index: usize,
    /// What failed.
    pub error: KernelError,
}

/// The requests of a batch that failed; all others were carried out, before and after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError {
    /// The failures in the order of the requests; never empty.
    pub refused: Vec<Refused>,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for refused in &self.refused {
            write!(f, "{separator}{}", refused.error)?;
            separator = "; ";
        }
        Ok(())
    }
}

impl std::error::Error for BatchError {}

impl Diagnose for BatchError {
    fn code(&self) -> &'static str {
        self.refused.first().map_or("kernel-refused", |refused| refused.error.code())
    }

    fn hint(&self) -> Option<String> {
        self.refused.iter().find_map(|refused| refused.error.hint())
    }
}

impl From<BatchError> for KernelError {
    /// The first failure: all there is, where the batch had one request.
    fn from(error: BatchError) -> Self {
        let unknown =
            || KernelError::new(Operation::new(Verb::Send, "netlink requests"), "", Cause::Unanswered);
        error.refused.into_iter().next().map_or_else(unknown, |refused| refused.error)
    }
}

impl Requests {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the request that `encode` appends (exactly one message), which does `operation` to `object`; returns its
    /// place in the batch.
    pub fn push(
        &mut self,
        operation: Operation,
        object: impl Into<String>,
        encode: impl FnOnce(&mut Batch),
    ) -> usize {
        let index = self.batch.len();
        encode(&mut self.batch);
        debug_assert_eq!(self.batch.len(), index + 1, "a request is one message");
        self.purposes.push((operation, object.into()));
        index
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.purposes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.purposes.is_empty()
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.batch.clear();
        self.purposes.clear();
    }
}

impl Socket {
    /// Sends all requests and returns their answers, in their order, if every one of them succeeded.
    ///
    /// # Errors
    ///
    /// Every request that was refused, by its place. The others *were* carried out. Where the exchange itself failed,
    /// every request is reported, since what the kernel did is not known.
    pub fn run(&mut self, requests: &mut Requests) -> Result<Vec<Answer>, BatchError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let fail = |socket: &Self, index: usize, cause: Cause| {
            let (operation, object) = &requests.purposes[index];
            Refused { index, error: socket.place(KernelError::new(*operation, object.as_str(), cause)) }
        };
        let answers = match self.attempt(&mut requests.batch) {
            Ok(answers) => answers,
            Err(cause) => {
                let all = 0..requests.purposes.len();
                return Err(BatchError {
                    refused: all.map(|index| fail(self, index, cause.clone())).collect(),
                });
            }
        };
        let refused: Vec<Refused> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer.ack.errno != 0)
            .map(|(index, answer)| fail(self, index, Cause::from_ack(&answer.ack)))
            .collect();
        if refused.is_empty() { Ok(answers) } else { Err(BatchError { refused }) }
    }

    /// Sends the one request that `add` adds.
    pub(crate) fn run_one(
        &mut self,
        add: impl FnOnce(&mut Requests) -> usize,
    ) -> Result<Answer, KernelError> {
        let mut requests = Requests::new();
        add(&mut requests);
        let unanswered = |requests: &Requests| {
            let (operation, object) = requests.purposes[0].clone();
            KernelError::new(operation, object, Cause::Unanswered)
        };
        let answers = self.run(&mut requests)?;
        answers.into_iter().next().ok_or_else(|| self.place(unanswered(&requests)))
    }
}

//! What a Go struct knows about its fields and JSON does not.

/// The fields of Docker's objects that hold keys which users choose.
const DOCKER_OPEN: [&str; 13] = [
    "Annotations",
    "AuxiliaryAddresses",
    "Containers",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Services",
    "Sysctls",
    "Volumes",
];

/// The fields of Docker's objects that JSON leaves out when they are empty.
const DOCKER_OPTIONAL: [&str; 3] = ["AuxiliaryAddresses", "Gateway", "IPRange"];

/// Which fields of an object may be absent.
///
/// A template that asks for a field which is not there has a typing error, and should hear so. Two kinds of fields are
/// no typing error: the keys of *open* maps, which users choose (`{{.Labels.owner}}` is `<no value>` where nobody
/// set it, and false in a test), and *optional* fields, which JSON leaves out when they are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    open: Vec<String>,
    optional: Vec<String>,
}

impl Shape {
    /// No field may be absent.
    pub fn strict() -> Self {
        Self { open: Vec::new(), optional: Vec::new() }
    }

    /// The networks and containers of Docker's API.
    ///
    /// Source: the `Network` and `ContainerInspectResponse` schemas of Docker's Engine API.
    pub fn docker() -> Self {
        Self::strict().with_open(DOCKER_OPEN).with_optional(DOCKER_OPTIONAL)
    }

    /// Adds fields, by name at any depth, whose keys are chosen by users.
    #[must_use]
    pub fn with_open<'a>(mut self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        self.open.extend(fields.into_iter().map(str::to_owned));
        self
    }

    /// Adds fields, by name at any depth, that are left out when they are empty.
    #[must_use]
    pub fn with_optional<'a>(mut self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        self.optional.extend(fields.into_iter().map(str::to_owned));
        self
    }

    pub(super) fn is_open(&self, field: &str) -> bool {
        self.open.iter().any(|open| open == field)
    }

    pub(super) fn is_optional(&self, field: &str) -> bool {
        self.optional.iter().any(|optional| optional == field)
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self::docker()
    }
}

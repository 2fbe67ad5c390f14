//! What makes a service's containers: `x-pontoon.runtime`.

use std::path::PathBuf;

use super::Reader;
use super::value::At;
use crate::error::Fault;
use crate::project::Runtime;
use crate::source::DEFAULT_RUNTIME;

/// The words of `runtime`.
const WORDS: &str = "a runtime: process, docker, podman, crun, runc or oci";

/// A runtime as it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Process,
    Docker,
    Podman,
    Oci(Option<&'static str>),
}

impl Named {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "process" => Self::Process,
            "docker" => Self::Docker,
            "podman" => Self::Podman,
            "crun" => Self::Oci(Some("crun")),
            "runc" => Self::Oci(Some("runc")),
            "oci" => Self::Oci(None),
            _ => return None,
        })
    }
}

/// What a service says that tells its runtime.
struct Said {
    /// `image`, or what `build` would make.
    image: Option<String>,
    rootfs: Option<PathBuf>,
    bundle: Option<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn runtime(&mut self, name: &str, at: &At<'_>) -> Option<Runtime> {
        let ours = at.get("x-pontoon");
        let built = at.get("build").map(|_| format!("{}-{name}", self.name));
        let said = Said {
            image: self.given(at.get("image"), "the name of an image")?.map(str::to_owned).or(built),
            rootfs: self.directory(ours.as_ref(), "rootfs")?,
            bundle: self.directory(ours.as_ref(), "bundle")?,
        };
        let named = match ours.as_ref().and_then(|ours| ours.get("runtime")) {
            Some(own) => Some(self.named(&own)?),
            None => self.usual(&said, ours.as_ref()),
        };
        match named {
            Some(Named::Process) => self.process(name, at, said),
            Some(Named::Docker) => {
                self.of_image(name, at, said, "a container of Docker's", |image| Runtime::Docker { image })
            }
            Some(Named::Podman) => {
                self.of_image(name, at, said, "a container of Podman's", |image| Runtime::Podman { image })
            }
            Some(Named::Oci(program)) => self.oci(name, at, said, program),
            None => {
                let place = at.get("image").or_else(|| at.get("build")).unwrap_or_else(|| at.clone());
                self.report.error(&place.node.at, Fault::NoRuntime(name.to_owned()));
                None
            }
        }
    }

    fn directory(&mut self, ours: Option<&At<'_>>, key: &str) -> Option<Option<PathBuf>> {
        let at = ours.and_then(|ours| ours.get(key));
        Some(self.given(at, "a directory")?.map(PathBuf::from))
    }

    /// The text at a place, if there is one; `None` outside when it is empty, as where a variable is not set: nothing is
    /// run by another runtime, or with other files, for want of a variable.
    fn given<'a>(&mut self, at: Option<At<'a>>, expected: &str) -> Option<Option<&'a str>> {
        let Some(at) = at else { return Some(None) };
        let text = at.text().filter(|text| !text.is_empty()).ok_or_else(|| at.is_not(expected));
        self.report.take(&at.node.at, text).map(Some)
    }

    fn named(&mut self, at: &At<'_>) -> Option<Named> {
        let named = Named::parse(at.text()?).ok_or_else(|| at.is_not(WORDS));
        self.report.take(&at.node.at, named)
    }

    /// The runtime of a service that does not say one: what it has tells it, and for an image the file's default.
    fn usual(&mut self, said: &Said, ours: Option<&At<'_>>) -> Option<Named> {
        let default = ours.and_then(|ours| ours.get(DEFAULT_RUNTIME));
        let default = default.or_else(|| self.section("x-pontoon")?.get("runtime"));
        let default = default.and_then(|at| self.named(&at));
        match (said, default) {
            (Said { bundle: Some(_), .. }, Some(Named::Oci(program))) => Some(Named::Oci(program)),
            (Said { bundle: Some(_), .. }, _) => Some(Named::Oci(None)),
            (Said { rootfs: Some(_), .. } | Said { image: None, .. }, _) => Some(Named::Process),
            (Said { image: Some(_), .. }, default) => default,
        }
    }

    fn process(&mut self, name: &str, at: &At<'_>, said: Said) -> Option<Runtime> {
        if said.bundle.is_some() {
            self.not_of(name, at, "a process", "bundle");
        }
        if let Some(image) = at.get("image") {
            let why = "it runs as a process, with the files of its `rootfs` or the host's";
            self.report.not_done(&image.node.at, "image", name, why);
        }
        Some(Runtime::Process { rootfs: said.rootfs })
    }

    fn of_image(
        &mut self,
        name: &str,
        at: &At<'_>,
        said: Said,
        runtime: &'static str,
        make: fn(String) -> Runtime,
    ) -> Option<Runtime> {
        for (key, given) in [("rootfs", said.rootfs.is_some()), ("bundle", said.bundle.is_some())] {
            if given {
                self.not_of(name, at, runtime, key);
            }
        }
        let image = said.image.ok_or_else(|| Fault::Lacks { place: at.quoted(), key: "image" });
        self.report.take(&at.node.at, image).map(make)
    }

    fn oci(&mut self, name: &str, at: &At<'_>, said: Said, program: Option<&'static str>) -> Option<Runtime> {
        if said.rootfs.is_some() {
            self.not_of(name, at, "an OCI bundle", "rootfs");
        }
        let place = format!("`{}.x-pontoon`", at.place);
        let bundle = said.bundle.ok_or(Fault::Lacks { place, key: "bundle" });
        let bundle = self.report.take(&at.node.at, bundle)?;
        Some(Runtime::Oci { bundle, program: program.map(str::to_owned) })
    }

    fn not_of(&mut self, service: &str, at: &At<'_>, runtime: &'static str, key: &'static str) {
        let place = at.get("x-pontoon").and_then(|ours| ours.get(key)).unwrap_or_else(|| at.clone());
        let fault = Fault::RuntimeKey { service: service.to_owned(), runtime, key };
        self.report.error(&place.node.at, fault);
    }
}

//! Where an instance keeps its state, and what it may do.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pontoon_kernel::capability;
use pontoon_model::config::Config;
use pontoon_plan::Instance;
use pontoon_store::Dirs;

use crate::error::EngineError;

/// The configuration file of the default instance, and of others that have none.
const CONFIG: &str = "/etc/pontoon/config.toml";

/// What a process does about the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Daemon {
    /// Tells it of changes, if one runs.
    #[default]
    Tell,
    /// Starts this program as the daemon where a network needs names and none runs.
    Start(PathBuf),
    /// It is the daemon.
    Itself,
}

/// The places of one instance.
#[derive(Debug, Clone)]
pub struct Root {
    /// Folders of the state.
    pub dirs: Dirs,
    /// Its marks and names in the kernel.
    pub instance: Instance,
    /// The folder that `--root` named.
    pub given: Option<PathBuf>,
    /// What is done about the daemon.
    pub daemon: Daemon,
    config: PathBuf,
}

impl Root {
    /// The default instance: `/var/lib/pontoon` and `/run/pontoon`.
    pub fn host() -> Self {
        let dirs = Dirs { lib: "/var/lib/pontoon".into(), run: "/run/pontoon".into() };
        Self { dirs, instance: Instance::host(), given: None, daemon: Daemon::Tell, config: CONFIG.into() }
    }

    /// An instance with all of its state in `folder`, which need not exist.
    ///
    /// # Errors
    ///
    /// If the path cannot be made absolute.
    pub fn at(folder: &Path) -> Result<Self, EngineError> {
        let fail = |source| EngineError::Root { path: folder.to_owned(), source };
        // The same folder by another path is the same instance, also before it exists.
        let folder = match fs::canonicalize(folder) {
            Ok(folder) => folder,
            Err(_) => std::path::absolute(folder).map_err(fail)?,
        };
        let dirs = Dirs { lib: folder.join("lib"), run: folder.join("run") };
        let instance = Instance::with_root(&folder.to_string_lossy());
        let own = folder.join("config.toml");
        let config = if own.exists() { own } else { CONFIG.into() };
        Ok(Self { dirs, instance, given: Some(folder), daemon: Daemon::Tell, config })
    }

    /// The folder for what a container writes and what is kept about it.
    pub fn container(&self, id: &str) -> PathBuf {
        self.dirs.lib.join("containers").join(id)
    }

    /// The configuration; the default where there is no file.
    ///
    /// # Errors
    ///
    /// If the file, or the Docker file that it names, cannot be read or is wrong.
    pub fn config(&self) -> Result<Config, EngineError> {
        let Some(text) = read(&self.config)? else { return Ok(Config::default()) };
        let wrong = |path: &Path, source| EngineError::Config { path: path.to_owned(), source };
        let mut config = Config::parse(&text).map_err(|source| wrong(&self.config, source))?;
        let has_pools = config.default_address_pools != Config::default().default_address_pools;
        if let (Some(daemon), false) = (&config.docker_daemon_json, has_pools) {
            let path = Path::new(daemon);
            let pools = read(path)?.map_or(Ok(Vec::new()), |text| Config::parse_daemon_json(&text));
            let pools = pools.map_err(|source| wrong(path, source))?;
            if !pools.is_empty() {
                config.default_address_pools = pools;
            }
        }
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Option<String>, EngineError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EngineError::ReadConfig { path: path.to_owned(), source }),
    }
}

/// Changes need both: one for links and rules, the other to enter and pin namespaces.
pub(crate) fn check_privileges() -> Result<(), EngineError> {
    match (capability::net_admin(), capability::sys_admin()) {
        (true, true) => Ok(()),
        (false, true) => Err(EngineError::Privilege { missing: "CAP_NET_ADMIN" }),
        (true, false) => Err(EngineError::Privilege { missing: "CAP_SYS_ADMIN" }),
        (false, false) => Err(EngineError::Privilege { missing: "CAP_NET_ADMIN and CAP_SYS_ADMIN" }),
    }
}

//! Commands as a person would type them in a shell.

use std::borrow::Cow;

use crate::op::{Netns, NetnsPlace};

/// `word` so that a POSIX shell takes it for one word.
pub fn quote(word: &str) -> String {
    quoted(word).into_owned()
}

/// As [`quote`]; most words are what they are.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

impl NetnsPlace {
    /// The namespace's file.
    pub fn path(&self) -> String {
        match self {
            Self::Named(name) => format!("/run/netns/{name}"),
            Self::Path(path) => path.clone(),
            Self::Pid(pid) => format!("/proc/{pid}/ns/net"),
        }
    }

    fn enter(&self) -> String {
        format!("nsenter --net={}", quote(&self.path()))
    }
}

impl Netns {
    /// `ip`, in the namespace.
    pub fn ip(&self, rest: &str) -> String {
        match self {
            Self::Host => format!("ip {rest}"),
            Self::Other { place: NetnsPlace::Named(name), .. } => format!("ip -n {} {rest}", quote(name)),
            Self::Other { place, .. } => format!("{} ip {rest}", place.enter()),
        }
    }

    /// Any program, in the namespace.
    pub fn command(&self, command: &str) -> String {
        match self {
            Self::Host => command.to_owned(),
            Self::Other { place: NetnsPlace::Named(name), .. } => {
                format!("ip netns exec {} {command}", quote(name))
            }
            Self::Other { place, .. } => format!("{} {command}", place.enter()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::NetnsId;

    #[test]
    fn commands_get_into_their_namespace() {
        let id = NetnsId { dev: 4, ino: 7 };
        let named = Netns::Other { place: NetnsPlace::Named("web".into()), id };
        let process = Netns::Other { place: NetnsPlace::Pid(7), id };
        assert_eq!(Netns::Host.ip("route"), "ip route");
        assert_eq!(named.ip("route"), "ip -n web route");
        assert_eq!(named.command("nft list ruleset"), "ip netns exec web nft list ruleset");
        assert_eq!(process.ip("route"), "nsenter --net=/proc/7/ns/net ip route");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}

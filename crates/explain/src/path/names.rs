//! Whom a namespace's programs ask for names, and whether they get an answer.

use std::net::IpAddr;

use pontoon_model::observed::snapshot::{Namespace, Snapshot};
use pontoon_model::shell::quote;
use pontoon_nft::syntax::protocol;

use super::finding::{Code, Finding};
use super::{Explanation, From, Question, Verdict, explain};

/// Where names are asked for. Source: RFC 1035, section 4.2.
const PORT: u16 = 53;

/// The query of a program in the namespace at this place, to the first of its name servers that answers; to the first
/// of all where none does. `None` where it is not known whom it asks.
pub fn ask(snapshot: &Snapshot, at: usize) -> Option<Explanation> {
    let namespace = snapshot.namespaces.get(at)?;
    let mut asked = namespace.name_servers.iter().map(|server| {
        let question = Question {
            from: From::Namespace(at, None),
            to: *server,
            outside: false,
            protocol: protocol::UDP,
            port: Some(PORT),
        };
        let mut explained = explain(snapshot, &question);
        if server.is_loopback() {
            explained
                .findings
                .iter_mut()
                .for_each(|finding| own_resolver(snapshot, namespace, *server, finding));
        }
        explained
    });
    let first = asked.next()?;
    match first.verdict {
        Verdict::Reachable => Some(first),
        _ => Some(asked.find(|next| next.verdict == Verdict::Reachable).unwrap_or(first)),
    }
}

/// A resolver on the host's loopback address is not there in a container: its loopback is its own.
fn own_resolver(snapshot: &Snapshot, namespace: &Namespace, server: IpAddr, finding: &mut Finding) {
    if finding.code != Code::NobodyListens {
        return;
    }
    let place = &namespace.name;
    let file = namespace.resolver.as_deref().unwrap_or("/etc/resolv.conf");
    let sentence =
        format!("{place} asks {server} for names, its own loopback address, where nobody listens ({file})");
    let mut found = Finding::new(Code::ResolverOnLoopback, place, sentence);
    if let (Some(right), Some(file)) = (right_server(snapshot, namespace), &namespace.resolver) {
        found = found.fix(format!("echo nameserver {right} > {}", quote(file)));
    }
    *finding = found.advice(match namespace.is_host() {
        true => "start the resolver, or name another server",
        false => {
            "a resolver of the host is not reached at a loopback address: name one that has another address"
        }
    });
}

/// The server that it ought to ask: Pontoon's on its network, or the real ones behind the host's.
fn right_server(snapshot: &Snapshot, namespace: &Namespace) -> Option<IpAddr> {
    let ours = namespace.endpoints.iter().find_map(|endpoint| {
        let network = snapshot.networks.iter().find(|network| network.id == endpoint.network)?;
        let address = endpoint.addresses().next()?;
        let gateway = network.pools().find(|pool| pool.subnet.contains(&address))?.gateway;
        network.has_names().then_some(gateway)
    });
    let host = snapshot.namespaces.first()?;
    let mut real = host.name_servers.iter().chain(&snapshot.upstream).copied();
    ours.or_else(|| real.find(|server| !server.is_loopback() && !server.is_unspecified()))
}

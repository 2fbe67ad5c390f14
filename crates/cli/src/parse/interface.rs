//! Interfaces: `CONTAINER[:IF]`, `host:IF`.

use pontoon_engine::impair::InterfaceRef;

use super::cable::End;

/// An interface as it was typed: as the end of a cable, but without addresses.
pub(crate) fn interface(text: &str) -> Result<InterfaceRef, String> {
    if text.contains('=') {
        return Err(format!("`{text}` is not an interface: CONTAINER[:IF], without addresses"));
    }
    let End { place, ifname, .. } = text.parse()?;
    Ok(InterfaceRef { place: place.container().cloned(), ifname, network: None })
}

#[cfg(test)]
mod tests {
    use pontoon_model::ContainerRef;

    use super::*;

    #[test]
    fn an_interface_is_a_containers_or_the_hosts() {
        let web = interface("web:eth1").unwrap();
        assert_eq!(web.place, Some(ContainerRef::Ours("web".into())));
        assert_eq!(web.ifname.as_ref().map(|name| name.as_str()), Some("eth1"));
        assert_eq!(interface("pid:12").unwrap(), InterfaceRef::of(ContainerRef::Pid(12)));
        assert_eq!(interface("host:lab0").unwrap().place, None);
        assert!(interface("web=10.0.0.1/30").is_err_and(|error| error.contains("without addresses")));
        assert!(interface("web:").is_err());
    }
}

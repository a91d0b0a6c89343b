//! On which address rank 0 listens for other hosts: one that somebody has named, never all of them.
//!
//! In this order: `PHYSALIA_INTERFACE` (a name, an address or a subnet); the interfaces that Open MPI was told to use
//! (`btl_tcp_if_include`, `oob_tcp_if_include`: names or subnets); an own address in a subnet of an address by which the
//! launcher is reached from here. If none of them gives one, there is no connection between hosts, and a roll-call says so.

use physalia_topology::sys::Interface;
use std::net::IpAddr;

/// Open MPI's own settings.
const TOLD: [&str; 2] = ["OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_oob_tcp_if_include"];
/// Where launchers write how they are reached.
const LAUNCHER: [&str; 6] = [
    "OMPI_MCA_orte_hnp_uri",
    "OMPI_MCA_orte_local_daemon_uri",
    "PMIX_SERVER_URI41",
    "PMIX_SERVER_URI4",
    "PMIX_SERVER_URI21",
    "SLURM_LAUNCH_NODE_IPADDR",
];
/// Bridges to containers and virtual machines: each host has its own, with the same addresses.
const INNER: [&str; 8] = ["docker", "podman", "cni", "virbr", "br-", "veth", "lxc", "vnet"];

/// # Errors
/// Why there is none.
pub(super) fn choose(var: impl Fn(&str) -> Option<String>, own: &[Interface]) -> Result<IpAddr, String> {
    if let Some(wanted) = var("PHYSALIA_INTERFACE") {
        let found = pick(own, |i| is_meant(i, wanted.trim()));
        return found.ok_or_else(|| format!("PHYSALIA_INTERFACE={wanted}: rank 0's host has no such interface"));
    }
    for told in TOLD.iter().filter_map(|name| var(name)) {
        let found = told.split(',').find_map(|one| pick(own, |i| !i.address.is_loopback() && is_meant(i, one.trim())));
        if let Some(address) = found {
            return Ok(address);
        }
    }
    for named in LAUNCHER.iter().filter_map(|name| var(name)) {
        let outer = |i: &Interface| !i.address.is_loopback() && !INNER.iter().any(|inner| i.name.starts_with(inner));
        let found = addresses(&named).find_map(|there| pick(own, |i| outer(i) && within(there, i.address, i.prefix)));
        if let Some(address) = found {
            return Ok(address);
        }
    }
    Err("nobody has named an interface between the hosts; PHYSALIA_INTERFACE does, by name, address or subnet".into())
}

/// The first that fits, of IPv4 if there is one.
fn pick(own: &[Interface], fits: impl Fn(&Interface) -> bool) -> Option<IpAddr> {
    let mut fitting: Vec<IpAddr> = own.iter().filter(|i| fits(i)).map(|i| i.address).collect();
    fitting.sort_by_key(|address| !address.is_ipv4()); // stable
    fitting.first().copied()
}

/// Whether `text` is the interface's name, its address, or a subnet that it lies in.
fn is_meant(interface: &Interface, text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().ok()),
        None => (text, None),
    };
    match (address.parse::<IpAddr>(), prefix) {
        (Ok(net), Some(prefix)) => within(interface.address, net, prefix),
        (Ok(address), None) => interface.address == address,
        (Err(_), _) => interface.name == text,
    }
}

/// Whether two addresses have the first `prefix` bits in common.
fn within(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    let first = |bits: u128, width: u32| bits.checked_shr(width.saturating_sub(prefix.into())).unwrap_or(0);
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => first(a.to_bits().into(), 32) == first(b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => first(a.to_bits(), 128) == first(b.to_bits(), 128),
        _ => false,
    }
}

/// All addresses in a text such as `1128660992.0;tcp://192.0.2.2,10.0.0.1:44497;tcp6://[fd00::2]:49243`.
fn addresses(text: &str) -> impl Iterator<Item = IpAddr> {
    let parts = text.split(['/', ',', ';', '[', ']', ' ']);
    parts.filter_map(|part| {
        let whole = part.parse().ok();
        whole.or_else(|| part.rsplit_once(':').and_then(|(address, _port)| address.parse().ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<Interface> {
        let all = [
            ("lo", "127.0.0.1", 8),
            ("docker0", "172.17.0.1", 16),
            ("eth0", "192.0.2.2", 24),
            ("eth0", "fd00::2", 64),
            ("ib0", "10.1.0.2", 16),
        ];
        all.map(|(name, address, prefix)| Interface { name: name.into(), address: address.parse().unwrap(), prefix })
            .into()
    }

    fn chosen(vars: &[(&str, &str)]) -> Result<String, String> {
        let var = |name: &str| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_string());
        choose(var, &own()).map(|address| address.to_string())
    }

    #[test]
    fn who_names_an_interface_is_heard_in_order() {
        let hnp = ("OMPI_MCA_orte_hnp_uri", "1128660992.0;tcp://172.17.0.1,192.0.2.77:44497;tcp6://[fd00::2]:49243");
        let btl = ("OMPI_MCA_btl_tcp_if_include", "ib7, 10.1.0.0/16");
        for (vars, address) in [
            (&[("PHYSALIA_INTERFACE", "eth0"), btl, hnp][..], "192.0.2.2"),
            (&[("PHYSALIA_INTERFACE", "fd00::2")], "fd00::2"),
            (&[("PHYSALIA_INTERFACE", "10.0.0.0/8")], "10.1.0.2"),
            (&[("PHYSALIA_INTERFACE", "lo")], "127.0.0.1"), // who asks for it gets it
            (&[btl, hnp], "10.1.0.2"),
            (&[("OMPI_MCA_oob_tcp_if_include", "ib0"), hnp], "10.1.0.2"),
            (&[hnp], "192.0.2.2"), // not the bridge to containers
            (&[("OMPI_MCA_btl_tcp_if_include", "lo"), hnp], "192.0.2.2"),
            (&[("OMPI_MCA_orte_hnp_uri", "5.0;tcp6://[fd00::9]:49243")], "fd00::2"),
            (&[("SLURM_LAUNCH_NODE_IPADDR", "10.1.200.3")], "10.1.0.2"),
        ] {
            assert_eq!(chosen(vars).as_deref(), Ok(address), "{vars:?}");
        }
    }

    #[test]
    fn what_nobody_names_is_not_guessed() {
        let local = ("PMIX_SERVER_URI4", "1128660992.0;tcp4://127.0.0.1:56931");
        for vars in [&[][..], &[local], &[("SLURM_LAUNCH_NODE_IPADDR", "198.51.100.3")]] {
            assert!(chosen(vars).unwrap_err().contains("PHYSALIA_INTERFACE"), "{vars:?}");
        }
        let why = chosen(&[("PHYSALIA_INTERFACE", "eth7"), local]).unwrap_err();
        assert!(why.contains("PHYSALIA_INTERFACE=eth7: rank 0's host has no such interface"), "{why}");
    }
}

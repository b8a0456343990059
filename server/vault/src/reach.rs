//! Where connections may lead. Whoever may name an address must not be able to have the server fetch what only the
//! server can reach; so names are resolved here, looked at, and connected to as they were looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Metadata services of clouds that are not link-local.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// How far a connection may go. Link-local addresses and metadata services, which hand a machine its credentials, are
/// never in reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// This machine and private networks too: the address was named by whoever owns the host.
    #[default]
    Anywhere,
    /// Public addresses, and of private ones those in these networks.
    Listed(Vec<IpNet>),
}

/// An address that is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfReach {
    /// Never in reach.
    #[error("{0} is link-local or a cloud's metadata service, and nothing here connects to it; name another address")]
    Never(IpAddr),
    /// On a private network that is not listed.
    #[error(
        "{0} is on this machine or on a private network; the owner of the host allows it by `allow_networks` in \
         holdfast.toml, or names it with the host's own credential"
    )]
    Private(IpAddr),
}

impl Reach {
    /// Whether a connection may lead there.
    ///
    /// # Errors
    /// [`OutOfReach`] says why not.
    pub fn check(&self, ip: IpAddr) -> Result<(), OutOfReach> {
        let ip = ip.to_canonical();
        let local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if local || METADATA.contains(&ip) {
            return Err(OutOfReach::Never(ip));
        }
        match self {
            Self::Listed(networks) if is_private(ip) && !networks.iter().any(|network| network.contains(&ip)) => {
                Err(OutOfReach::Private(ip))
            }
            _ => Ok(()),
        }
    }

    /// The same for the host of an address: one that is written as numbers is looked at, a name is not resolved.
    ///
    /// # Errors
    /// As [`Reach::check`].
    pub fn check_host(&self, host: &str) -> Result<(), OutOfReach> {
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(ip) => self.check(ip),
            Err(_) => Ok(()),
        }
    }

    /// Where a name leads: all of its addresses, if each is in reach.
    ///
    /// # Errors
    /// When it cannot be resolved; [`OutOfReach`] inside the error when one is out of reach.
    pub async fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        for address in tokio::net::lookup_host((name, 0)).await? {
            self.check(address.ip())
                .map_err(|error| std::io::Error::new(std::io::ErrorKind::PermissionDenied, error))?;
            found.push(address.ip());
        }
        Ok(found)
    }
}

/// This machine, private networks, shared address space, and what leads to no other machine at all.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || first == 0
                // Shared address space (RFC 6598) and benchmarks (RFC 2544).
                || first == 100 && (64..128).contains(&second)
                || first == 198 && (18..20).contains(&second)
        }
        IpAddr::V6(ip) => {
            let embedded = match ip.segments() {
                // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead on to the IPv4 address that they hold.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                    let [a, b] = high.to_be_bytes();
                    let [c, d] = low.to_be_bytes();
                    Some(Ipv4Addr::new(a, b, c, d))
                }
                _ => None,
            };
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || embedded.is_some_and(|ip| ip.is_link_local() || is_private(IpAddr::V4(ip)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn reaches(reach: &Reach, address: &str) -> Result<(), OutOfReach> {
        reach.check(address.parse().unwrap())
    }

    #[test]
    fn metadata_services_are_never_in_reach() {
        let all = Reach::Listed(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
        for address in
            ["169.254.169.254", "169.254.0.1", "fe80::1", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254"]
        {
            for reach in [&Reach::Anywhere, &all] {
                assert!(matches!(reaches(reach, address), Err(OutOfReach::Never(_))), "{address}");
            }
        }
    }

    #[test]
    fn private_networks_are_in_reach_where_they_are_listed() {
        let listed = Reach::Listed(vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
        for address in [
            "127.0.0.1",
            "10.2.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "198.18.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(matches!(reaches(&listed, address), Err(OutOfReach::Private(_))), "{address}");
        }
        for address in ["10.1.2.3", "::1", "::ffff:10.1.2.3", "8.8.8.8", "2606:4700::1111", "172.32.0.1", "100.128.0.1"]
        {
            assert!(reaches(&listed, address).is_ok(), "{address}");
        }
        for address in ["127.0.0.1", "10.2.0.1", "fd12::1"] {
            assert!(reaches(&Reach::Anywhere, address).is_ok(), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_at_when_it_is_resolved() {
        let refused = Reach::Listed(Vec::new()).resolve("localhost").await.unwrap_err();
        assert!(refused.to_string().contains("allow_networks"), "{refused}");
        assert!(!Reach::Anywhere.resolve("localhost").await.unwrap().is_empty());
        assert!(Reach::default().check_host("[::ffff:169.254.169.254]").is_err());
        assert!(Reach::Listed(Vec::new()).check_host("localhost").is_ok(), "a name is looked at when it is resolved");
    }
}

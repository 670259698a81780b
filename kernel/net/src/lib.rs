//! Ethernet, ARP, IPv4, ICMP, DHCP and UDP over the frame trait.
#![no_std]
#![forbid(unsafe_code)]

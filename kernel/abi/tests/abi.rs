//! Numbers that payloads built long ago depend on. Do not change these tests:
//! a new meaning is a new major version.

use sk_abi::{SERVICES, Status, TaskInfo, image, net, service};

#[test]
fn ids_are_frozen() {
    let frozen = [
        (0, "task.info/1", "const struct sk_task_info *sk_task_info(void)"),
        (1, "task.exit/1", "void sk_task_exit(int32_t code)"),
        (2, "task.yield/1", "void sk_task_yield(void)"),
        (3, "task.beat/1", "void sk_task_beat(void)"),
        (4, "task.remaining/1", "uint64_t sk_task_remaining(void)"),
        (5, "task.should_stop/1", "uint32_t sk_task_should_stop(void)"),
        (6, "task.abort/1", "void sk_task_abort(const void *message, uint32_t len)"),
        (7, "task.sync_code/1", "void sk_task_sync_code(const void *start, uint32_t len)"),
        (16, "io.read/1", "uint32_t sk_io_read(void *buf, uint32_t len)"),
        (17, "io.write/1", "uint32_t sk_io_write(const void *buf, uint32_t len)"),
        (18, "io.error/1", "uint32_t sk_io_error(const void *buf, uint32_t len)"),
        (19, "io.log/1", "void sk_io_log(const void *text, uint32_t len)"),
        (24, "mem.alloc/1", "void *sk_mem_alloc(uint32_t size, uint32_t align)"),
        (25, "mem.calloc/1", "void *sk_mem_calloc(uint32_t count, uint32_t size)"),
        (26, "mem.realloc/1", "void *sk_mem_realloc(void *block, uint32_t size, uint32_t align)"),
        (27, "mem.free/1", "void sk_mem_free(void *block)"),
        (28, "mem.size/1", "uint32_t sk_mem_size(void)"),
        (29, "mem.used/1", "uint32_t sk_mem_used(void)"),
        (30, "mem.peak/1", "uint32_t sk_mem_peak(void)"),
        (32, "time.now/1", "uint64_t sk_time_now(void)"),
        (33, "time.sleep_until/1", "void sk_time_sleep_until(uint64_t us)"),
        (34, "time.cycles/1", "uint32_t sk_time_cycles(void)"),
        (40, "net.bind/1", "int32_t sk_net_bind(uint32_t port, uint32_t flags)"),
        (
            41,
            "net.recv/1",
            "int32_t sk_net_recv(void *buf, uint32_t len, struct sk_udp_info *info)",
        ),
        (42, "net.recv_until/1", "int32_t sk_net_recv_until(const struct sk_udp_recv *args)"),
        (
            43,
            "net.send/1",
            "int32_t sk_net_send(const struct sk_udp_peer *peer, const void *buf, uint32_t len)",
        ),
        (44, "net.addresses/1", "int32_t sk_net_addresses(struct sk_addresses *out)"),
        (45, "net.arp/1", "uint32_t sk_net_arp(struct sk_neighbour *out, uint32_t max)"),
        (46, "net.close/1", "int32_t sk_net_close(uint32_t port)"),
    ];
    for (slot, name, c) in frozen {
        let service = service::by_slot(slot).expect("a slot that was in use stays in use");
        assert_eq!(service.name, name);
        assert_eq!(service.to_string(), c);
        assert_eq!(service::by_id(service::hash(name)), Some(service));
    }
}

#[test]
fn the_hash_is_fnv_1a() {
    // From the reference: draft-eastlake-fnv, test vectors for 32-bit FNV-1a.
    assert_eq!(service::hash(""), 0x811c_9dc5);
    assert_eq!(service::hash("a"), 0xe40c_292c);
    assert_eq!(service::hash("foobar"), 0xbf9c_f968);
}

#[test]
fn every_signature_has_a_c_form_and_fits_four_registers() {
    for s in SERVICES {
        assert!(!s.to_string().is_empty());
        let words: usize = s
            .params
            .iter()
            .map(|(_, t)| {
                assert!(service::c_type(t).is_some(), "{}: {t}", s.name);
                if *t == "u64" { 2 } else { 1 }
            })
            .sum();
        assert!(words <= 4, "{}: more than r0 to r3", s.name);
        let (group, rest) = s.name.split_once('.').expect("group.name/major");
        let (name, major) = rest.split_once('/').expect("group.name/major");
        assert_eq!(s.function, format!("{group}_{name}"));
        assert!(major.parse::<u8>().is_ok_and(|m| m > 0));
    }
}

#[test]
fn task_info_is_written_as_it_is_laid_out() {
    let info = TaskInfo {
        abi: 1,
        size: 80,
        deadline_us: 0x1122_3344_5566_7788,
        flags: 0xAABB_CCDD,
        ..TaskInfo::default()
    };
    let bytes = info.to_bytes();
    assert_eq!(bytes[..8], [1, 0, 0, 0, 80, 0, 0, 0]);
    assert_eq!(bytes[56..64], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    assert_eq!(bytes[72..76], [0xDD, 0xCC, 0xBB, 0xAA]);
}

#[test]
fn network_structures_are_written_as_they_are_laid_out() {
    let peer = net::UdpPeer { ip: [10, 0, 2, 2], port: 0x1234, local_port: 7 };
    let bytes = [10, 0, 2, 2, 0x34, 0x12, 7, 0];
    assert_eq!(net::UdpPeer::from_bytes(&bytes), peer);
    let info = net::UdpInfo { peer, len: 0x0102, flags: net::flags::TRUNCATED };
    assert_eq!(info.to_bytes()[..8], bytes);
    assert_eq!(info.to_bytes()[8..], [2, 1, 0, 0, 1, 0, 0, 0]);
    let mut args = [0; 24];
    args[..8].copy_from_slice(&0x1122_3344_5566_7788_u64.to_le_bytes());
    (args[8], args[13], args[18]) = (1, 2, 3);
    let expected = net::UdpRecv {
        deadline_us: 0x1122_3344_5566_7788,
        buf: 1,
        len: 0x200,
        info: 0x3_0000,
        reserved: 0,
    };
    assert_eq!(net::UdpRecv::from_bytes(&args), expected);
    let addresses = net::Addresses {
        ip: [1, 2, 3, 4],
        mask: [255, 255, 255, 0],
        gateway: [1, 2, 3, 1],
        mac: [6, 5, 4, 3, 2, 1],
        prefix: 24,
        flags: 3,
    };
    let bytes = [1, 2, 3, 4, 255, 255, 255, 0, 1, 2, 3, 1, 6, 5, 4, 3, 2, 1, 24, 3];
    assert_eq!(addresses.to_bytes(), bytes);
    let entry = net::Neighbour { ip: [1, 2, 3, 1], mac: [9; 6], reserved: 0, age_ms: 0x0203 };
    assert_eq!(entry.to_bytes(), [1, 2, 3, 1, 9, 9, 9, 9, 9, 9, 0, 0, 3, 2, 0, 0]);
}

#[test]
fn network_errors_are_frozen() {
    for (at, error) in net::NetError::ALL.into_iter().enumerate() {
        assert_eq!(error.code(), -1 - at as i32);
        assert_eq!(net::NetError::check(error.code()), Err(error));
    }
    assert_eq!(net::NetError::check(5), Ok(5));
    assert_eq!(net::NetError::check(-77), Err(net::NetError::Other));
}

#[test]
fn image_constants_are_frozen() {
    assert_eq!(image::VERSION, 0x11);
    assert_eq!(image::STACK_DEFAULT % image::STACK_UNIT, 0);
}

#[test]
fn statuses_are_unique_and_named() {
    for (i, s) in Status::ALL.iter().enumerate() {
        assert!(Status::ALL[i + 1..].iter().all(|t| t.0 != s.0));
        assert_ne!(s.name(), "?");
    }
}

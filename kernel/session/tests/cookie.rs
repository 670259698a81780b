//! Address cookies: how long they live, and what they are bound to (H1, H3).

mod common;

use core::net::{Ipv4Addr, SocketAddrV4};

use common::{Fixed, hex, inputs};
use sk_session::cookie::{CookieJar, PERIOD_US, mac};
use sk_wire::{Cookie, Hello, HsInit};

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 7, 9), 40_000);

fn hello() -> Hello {
    Hello::new(core::array::from_fn(|i| 0x10 + i as u8))
}

fn jar() -> CookieJar {
    let mut jar = CookieJar::new();
    assert!(jar.rotate(0, &mut Fixed::Good(0xA5)));
    jar
}

/// What a client sends that was given `cookie`.
fn init(cookie: &Cookie) -> HsInit {
    let mut inputs = inputs();
    inputs.prologue.client_nonce = hello().client_nonce;
    inputs.prologue.cookie = *cookie;
    inputs.initiate().1
}

#[test]
fn a_cookie_is_what_another_program_computes() {
    let expected = hex("aa772cde163d2650fa13a98e5bdb1848");
    assert_eq!(jar().bake(CLIENT, &hello()), Some(expected));
}

#[test]
fn a_cookie_is_good_for_its_address_and_nonce_only() {
    let jar = jar();
    let cookie = jar.bake(CLIENT, &hello()).unwrap();
    let init = init(&cookie);
    assert_eq!(jar.check(CLIENT, &init), Some(cookie));
    let elsewhere = [
        SocketAddrV4::new(*CLIENT.ip(), 40_001),
        SocketAddrV4::new(Ipv4Addr::new(192, 168, 7, 10), 40_000),
    ];
    for from in elsewhere {
        assert_eq!(jar.check(from, &init), None);
    }
    let mut other = init;
    other.client_nonce[0] ^= 1;
    other.mac = mac(&cookie, &other);
    assert_eq!(jar.check(CLIENT, &other), None);
    other.mac = [0; 16];
    assert_eq!(jar.check(CLIENT, &other), None);
}

#[test]
fn every_flipped_bit_of_hs_init_fails_the_cookie() {
    let jar = jar();
    let bytes = init(&jar.bake(CLIENT, &hello()).unwrap()).emit();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes;
        bad[bit / 8] ^= 1 << (bit % 8);
        let accepted = HsInit::parse(&bad).and_then(|init| jar.check(CLIENT, &init));
        assert_eq!(accepted, None, "bit {bit}");
    }
}

/// H7: the range in HELLO edited on the way to the board.
#[test]
fn another_version_range_spoils_the_cookie() {
    let jar = jar();
    let cookie = jar.bake(CLIENT, &Hello { ver_max: 2, ..hello() }).unwrap();
    assert_eq!(jar.check(CLIENT, &init(&cookie)), None);
}

#[test]
fn a_cookie_lives_one_to_two_periods() {
    let mut jar = jar();
    let early = init(&jar.bake(CLIENT, &hello()).unwrap());
    assert!(jar.rotate(PERIOD_US - 1, &mut Fixed::Good(1)));
    let late = init(&jar.bake(CLIENT, &hello()).unwrap());
    assert_eq!(early, late, "not renewed before it is due");

    assert!(jar.rotate(PERIOD_US, &mut Fixed::Good(2)));
    assert!(jar.check(CLIENT, &early).is_some());
    let second = init(&jar.bake(CLIENT, &hello()).unwrap());
    assert_ne!(early.mac, second.mac);

    assert!(jar.rotate(2 * PERIOD_US, &mut Fixed::Good(3)));
    assert!(jar.check(CLIENT, &early).is_none());
    assert!(jar.check(CLIENT, &second).is_some());
}

#[test]
fn a_jar_left_alone_forgets_everything() {
    let mut jar = jar();
    let old = init(&jar.bake(CLIENT, &hello()).unwrap());
    assert!(jar.rotate(2 * PERIOD_US, &mut Fixed::Good(2)));
    assert!(jar.check(CLIENT, &old).is_none());
}

#[test]
fn no_cookies_without_randomness() {
    let empty = CookieJar::new();
    assert_eq!(empty.bake(CLIENT, &hello()), None);
    assert_eq!(empty.check(CLIENT, &init(&[0; 16])), None);

    let mut jar = jar();
    let old = init(&jar.bake(CLIENT, &hello()).unwrap());
    assert!(!jar.rotate(PERIOD_US, &mut Fixed::Failed));
    assert_eq!(jar.bake(CLIENT, &hello()), None);
    assert_eq!(jar.check(CLIENT, &old), None);
    assert!(jar.rotate(PERIOD_US, &mut Fixed::Good(4)), "and it recovers");
    assert!(jar.bake(CLIENT, &hello()).is_some());
}

//! The store in a temporary folder.

use super::*;

#[test]
fn key_is_made_once_and_kept_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(&dir.path().join("new"));
    let keys: Vec<_> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..4).map(|_| s.spawn(|| store.client_secret().unwrap())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == store.client_secret().unwrap()));
    let mode = fs::metadata(store.root().join("client.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn damaged_key_is_named_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("client.key"), "abc").unwrap();
    let error = Store::at(dir.path()).client_secret().unwrap_err().to_string();
    assert!(error.contains("client.key") && error.contains("hexadecimal"), "{error}");
    assert_eq!(fs::read(dir.path().join("client.key")).unwrap(), b"abc");
}

fn attic() -> KnownBoard {
    KnownBoard { name: "attic-1".into(), noise_pk: [7; 32], psk: [9; 32] }
}

#[test]
fn boards_come_back_and_bad_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    assert!(store.boards().unwrap().boards.is_empty());
    let board = attic();
    store.add_board(&board, b"blob").unwrap();
    let all = store.boards().unwrap();
    assert_eq!(all.boards, std::slice::from_ref(&board));
    assert_eq!(all.by_name("attic-1"), Some(&board));
    assert_eq!(all.by_fingerprint(&board.fingerprint()), Some(&board));
    assert_eq!(store.blob("attic-1").unwrap().as_deref(), Some(&b"blob"[..]));
    assert_eq!(store.blob("other").unwrap(), None);
    assert_eq!(store.board("other").unwrap(), None);
    for name in ["", "../x", "a/b", "seventeen-letters"] {
        let bad = KnownBoard { name: name.into(), ..board.clone() };
        assert!(matches!(store.add_board(&bad, b""), Err(StoreError::BadName(_))), "{name}");
    }
}

#[test]
fn a_board_keeps_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    store.add_board(&attic(), b"1").unwrap();
    store.add_board(&attic(), b"2").unwrap();
    let other = KnownBoard { psk: [1; 32], ..attic() };
    assert!(matches!(store.add_board(&other, b"3"), Err(StoreError::NameTaken(_))));
    assert_eq!(store.blob("attic-1").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_damaged_record_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    store.add_board(&attic(), b"").unwrap();
    let boards = dir.path().join("boards");
    fs::write(boards.join("bad.toml"), "name = 3").unwrap();
    fs::copy(boards.join("attic-1.toml"), boards.join("copy.toml")).unwrap();
    let all = store.boards().unwrap();
    assert_eq!((all.boards.len(), all.damaged.len()), (1, 2));
    assert!(all.damaged.iter().any(|e| e.to_string().contains("bad.toml")));
}

#[test]
fn secrets_are_not_shown() {
    let text = format!("{:?}", KnownBoard { psk: [0xAB; 32], ..attic() });
    assert!(!text.contains("171, 171") && !text.contains("abab"), "{text}");
}

#[test]
fn counters_never_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let all: Vec<Counters> = std::thread::scope(|s| {
        let take = || (0..20).map(|_| store.next_counters([1; 8]).unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| s.spawn(take)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let mut tasks: Vec<u64> = all.iter().map(|c| c.task).collect();
    let mut handshakes: Vec<u64> = all.iter().map(|c| c.handshake).collect();
    tasks.sort_unstable();
    handshakes.sort_unstable();
    assert!(tasks.windows(2).all(|w| w[0] < w[1]));
    assert!(handshakes.windows(2).all(|w| w[0] + HANDSHAKES <= w[1]));
}

#[test]
fn a_clock_set_back_does_not_take_counters_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    store.next_counters([1; 8]).unwrap();
    let future = u64::MAX / 2;
    let path = dir.path().join("counters").join(hex::encode(&[1; 8]));
    fs::write(&path, format!("{future} {future}\n")).unwrap();
    let counters = store.next_counters([1; 8]).unwrap();
    assert_eq!((counters.handshake, counters.task), (future + 1, future + 1));
}

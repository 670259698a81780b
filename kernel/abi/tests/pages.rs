//! Every service has a page in `docs/services`, which says of it what the list
//! says; no page is about anything else.

use sk_abi::SERVICES;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_service_has_its_page() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/services");
    let index = fs::read_to_string(dir.join("README.md")).expect("docs/services/README.md");
    let mut pages: BTreeSet<String> = fs::read_dir(&dir)
        .expect("docs/services")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "README.md")
        .collect();
    for service in SERVICES {
        let base = service.name.split('/').next().unwrap_or_default();
        let file = format!("{base}.md");
        assert!(pages.remove(&file), "no page docs/services/{file}");
        let page = fs::read_to_string(dir.join(&file)).expect("readable");
        let mut paragraphs = page.split("\n\n").map(|p| p.replace('\n', " ").trim().to_owned());
        let mut next = || paragraphs.next().unwrap_or_default();
        assert_eq!(next(), format!("# {}", service.name), "{file}");
        assert_eq!(next(), service.text, "{file}");
        let line = format!("slot {}, id {:#010x}, since ABI 1", service.slot, service.id);
        assert_eq!(next(), line, "{file}");
        assert!(
            index.contains(&format!("[{}]({file})", service.name)),
            "{file} is not in the index"
        );
        assert!(index.contains(&format!("{:#010x}", service.id)), "{file}: id in the index");
    }
    assert!(pages.is_empty(), "pages about no service: {pages:?}");
}

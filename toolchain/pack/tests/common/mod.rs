//! A writer of small ELF files, good and bad.

#![allow(dead_code)] // each test binary uses its part

/// A section to be written.
#[derive(Clone)]
pub(crate) struct Sec {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) addr: u32,
    pub(crate) data: Vec<u8>,
    /// For NOBITS.
    pub(crate) size: u32,
    pub(crate) link: u32,
    pub(crate) entsize: u32,
}

/// A symbol: name, value, size, type (2 = function, 0 = none), section index.
pub(crate) type Sym = (&'static str, u32, u32, u8, u16);

/// A file to be written.
#[derive(Clone)]
pub(crate) struct Elf {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) flags: u32,
    pub(crate) entry: u32,
    pub(crate) sections: Vec<Sec>,
    pub(crate) symbols: Vec<Sym>,
    /// (offset, type, symbol)
    pub(crate) relocs: Vec<(u32, u8, u32)>,
    pub(crate) dynamic: Vec<Sym>,
}

pub(crate) const A: u32 = 2;
pub(crate) const AX: u32 = 6;
pub(crate) const WA: u32 = 3;
pub(crate) const WAX: u32 = 7;

pub(crate) fn progbits(name: &'static str, flags: u32, addr: u32, data: &[u8]) -> Sec {
    Sec {
        name,
        kind: 1,
        flags,
        addr,
        data: data.into(),
        size: data.len() as u32,
        link: 0,
        entsize: 0,
    }
}

pub(crate) fn nobits(name: &'static str, addr: u32, size: u32) -> Sec {
    Sec { name, kind: 8, flags: WA, addr, data: Vec::new(), size, link: 0, entsize: 0 }
}

/// `b .`
pub(crate) const LOOP: [u8; 4] = [0xFE, 0xFF, 0xFF, 0xEA];

impl Elf {
    /// `loop {}`, as rust-lld links it.
    pub(crate) fn spin() -> Self {
        Self {
            kind: 3,
            machine: 40,
            flags: 0x0500_0400,
            entry: 0,
            sections: vec![progbits(".text", AX, 0, &LOOP)],
            symbols: vec![("_start", 0, 4, 2, 1)],
            relocs: Vec::new(),
            dynamic: Vec::new(),
        }
    }

    /// Code, data with two addresses, bss.
    pub(crate) fn full() -> Self {
        let data = [1, 2, 3, 4, 8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        Self {
            sections: vec![
                progbits(".text", AX, 0, &[LOOP, LOOP, LOOP].concat()),
                progbits(".data", WA, 0x1000, &data),
                nobits(".bss", 0x1014, 100),
                progbits(".sk.imports", 0, 0, &[9, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0]),
            ],
            symbols: vec![("_start", 0, 12, 2, 1), ("TABLE", 0x1004, 8, 1, 2)],
            relocs: vec![(0x1008, 23, 0), (0x1004, 23, 0)],
            ..Self::spin()
        }
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut sections = vec![Sec { kind: 0, ..progbits("", 0, 0, &[]) }];
        sections.extend(self.sections.iter().cloned());
        let dynsym = (!self.dynamic.is_empty()).then(|| table(&self.dynamic));
        let mut dynsym_index = 0;
        if let Some((symbols, strings)) = dynsym {
            dynsym_index = sections.len() as u32;
            let link = dynsym_index + 1;
            sections.push(Sec {
                kind: 11,
                link,
                entsize: 16,
                ..progbits(".dynsym", 0, 0, &symbols)
            });
            sections.push(Sec { kind: 3, ..progbits(".dynstr", 0, 0, &strings) });
        }
        if !self.relocs.is_empty() {
            let rel: Vec<u8> = self
                .relocs
                .iter()
                .flat_map(|(at, kind, symbol)| {
                    [at.to_le_bytes(), (symbol << 8 | u32::from(*kind)).to_le_bytes()].concat()
                })
                .collect();
            let link = dynsym_index;
            sections.push(Sec {
                kind: 9,
                link,
                entsize: 8,
                ..progbits(".rel.dyn", A, 0x9000, &rel)
            });
        }
        let (symbols, strings) = table(&self.symbols);
        let link = sections.len() as u32 + 1;
        sections.push(Sec { kind: 2, link, entsize: 16, ..progbits(".symtab", 0, 0, &symbols) });
        sections.push(Sec { kind: 3, ..progbits(".strtab", 0, 0, &strings) });
        sections.push(Sec { kind: 3, ..progbits(".shstrtab", 0, 0, &[]) });
        let mut names = vec![0];
        let at: Vec<u32> = sections
            .iter()
            .map(|s| {
                let at = names.len() as u32;
                names.extend(s.name.as_bytes());
                names.push(0);
                at
            })
            .collect();
        let last = sections.len() - 1;
        sections[last].size = names.len() as u32;
        sections[last].data = names;

        let mut out = vec![0; 52];
        let mut headers = Vec::new();
        for (s, name) in sections.iter().zip(at) {
            out.resize(out.len().next_multiple_of(4), 0);
            let off = out.len() as u32;
            out.extend(&s.data);
            let info = u32::from(matches!(s.kind, 2 | 11));
            for v in [name, s.kind, s.flags, s.addr, off, s.size, s.link, info, 4, s.entsize] {
                headers.extend(v.to_le_bytes());
            }
        }
        out.resize(out.len().next_multiple_of(4), 0);
        let shoff = out.len() as u32;
        out.extend(headers);
        let mut head = vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        head.extend(self.kind.to_le_bytes());
        head.extend(self.machine.to_le_bytes());
        for v in [1, self.entry, 0, shoff, self.flags] {
            head.extend(u32::to_le_bytes(v));
        }
        for v in [52u16, 32, 0, 40, sections.len() as u16, last as u16] {
            head.extend(v.to_le_bytes());
        }
        out[..52].copy_from_slice(&head);
        out
    }
}

fn table(symbols: &[Sym]) -> (Vec<u8>, Vec<u8>) {
    let mut strings = vec![0];
    let mut out = vec![0; 16];
    for (name, value, size, kind, section) in symbols {
        out.extend((strings.len() as u32).to_le_bytes());
        out.extend(value.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend([1 << 4 | kind, 0]);
        out.extend(section.to_le_bytes());
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    (out, strings)
}

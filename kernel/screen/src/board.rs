//! The status board: what a board without work shows.
//!
//! It is laid out anew each time, a section per call, into the cells of a
//! [`Grid`]; only cells that came out different are painted later. On a screen
//! with room for it everything is twice the size.

use crate::color::Color;
use crate::font::{self, Size};
use crate::grid::{Cell, Grid};
use crate::screen::BACKGROUND;
use core::fmt::{self, Arguments, Write};

/// Behind the name.
const BAND: Color = Color::rgb(0x20, 0x2C, 0x48);
/// Behind a bar.
const TROUGH: Color = Color::rgb(0x28, 0x30, 0x40);
const TEXT: Color = Color::rgb(0xE8, 0xEC, 0xF0);
const DIM: Color = Color::rgb(0x80, 0x90, 0xA8);
const GREEN: Color = Color::rgb(0x50, 0xD0, 0x80);
const BLUE: Color = Color::rgb(0x58, 0xA8, 0xF8);
const AMBER: Color = Color::rgb(0xF8, 0xB8, 0x40);
const RED: Color = Color::rgb(0xF8, 0x60, 0x60);

/// Column where what is said of something begins.
const VALUE: u16 = 12;
/// Margin left and right, in characters.
const MARGIN: u16 = 2;
/// Characters of a bar.
const BAR: u16 = 20;
/// Characters of state and uptime beside the name.
const SIDE: u16 = 14;
/// Rows of the header.
const HEADER: u16 = 2;
/// Rows of facts below it.
const FACTS: u16 = 6;
/// Most slots that are shown.
const SLOTS: usize = 8;

/// What the board is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not on the network yet.
    Starting,
    /// Ready for a payload.
    Idle,
    /// One is being sent.
    Receiving,
    /// One runs.
    Running,
    /// Something of the board itself is broken.
    Fault,
}

/// A payload that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Last<'a> {
    /// Who sent it.
    pub who: &'a str,
    /// Its number.
    pub task: u32,
    /// How it ended.
    pub how: &'a str,
    /// Was that well?
    pub well: bool,
    /// How long it ran, in milliseconds.
    pub millis: u32,
}

/// What the chip says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chip {
    /// Thousandths of a degree Celsius.
    pub temperature: u32,
    /// The supply is too weak now.
    pub under_voltage: bool,
    /// The clock is throttled now.
    pub throttled: bool,
}

/// A slot of the timetable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot<'a> {
    /// Its name.
    pub name: &'a str,
    /// The longest it ever took, in microseconds.
    pub worst: u32,
    /// What it may take.
    pub budget: u32,
}

/// Everything that is shown.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The board's name.
    pub name: &'a str,
    /// Which version of the kernel runs.
    pub version: &'a str,
    /// What it runs on.
    pub model: &'a str,
    /// What it is doing.
    pub state: State,
    /// Seconds since it started.
    pub uptime: u32,
    /// Its IPv4 address, if it has one.
    pub address: Option<[u8; 4]>,
    /// Its station address.
    pub mac: [u8; 6],
    /// The first bytes of its key's fingerprint.
    pub fingerprint: [u8; 16],
    /// The last payload.
    pub last: Option<Last<'a>>,
    /// Memory for payloads in KiB: free, all.
    pub memory: (u32, u32),
    /// The chip, if the firmware tells.
    pub chip: Option<Chip>,
    /// The timetable.
    pub slots: &'a [Slot<'a>],
    /// Lines of the log, the last one newest.
    pub log: &'a [&'a str],
}

/// A part of the board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// Name and state.
    Header,
    /// Addresses, key, memory, chip, last payload.
    Facts,
    /// The timetable.
    Slots,
    /// The log.
    Log,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Header, Self::Facts, Self::Slots, Self::Log];
}

/// Lays out a section. The work is bounded by the screen's cells.
pub fn lay_out<const N: usize>(status: &Status<'_>, section: Section, grid: &mut Grid<N>) {
    let roomy = grid.columns() >= 128 && grid.rows() >= 44;
    let size = if roomy { Size::Large } else { Size::Small };
    let slots = status.slots.get(..status.slots.len().min(SLOTS)).unwrap_or_default();
    let (below_header, unit) = (HEADER + 1, size.cells());
    let below_facts = below_header + FACTS + 1;
    let below_slots = below_facts + 1 + slots.len() as u16 + 1;
    let mut page = Page { rows: grid.rows() / unit, columns: grid.columns() / unit, grid, size };
    match section {
        Section::Header => header(status, &mut page),
        Section::Facts => facts(status, &mut page, below_header),
        Section::Slots => timetable(slots, &mut page, below_facts),
        Section::Log => log(status, &mut page, below_slots),
    }
}

fn header<const N: usize>(status: &Status<'_>, page: &mut Page<'_, N>) {
    let side = page.columns.saturating_sub(SIDE + MARGIN);
    let mut title = page.line(0, BAND);
    // Twice the size of everything else; two lines beside it.
    title.size = if title.size == Size::Large { Size::Huge } else { Size::Large };
    title.limit(side);
    title.say(TEXT, format_args!("{}", status.name));
    title.fill_rows(2);

    let (state, color) = match status.state {
        State::Starting => ("STARTING", AMBER),
        State::Idle => ("READY", GREEN),
        State::Receiving => ("RECEIVING", BLUE),
        State::Running => ("RUNNING", AMBER),
        State::Fault => ("FAULT", RED),
    };
    let mut badge = page.line(0, BAND);
    badge.jump(side);
    badge.paper = color;
    badge.say(BACKGROUND, format_args!("{state:^14}"));
    badge.paper = BAND;
    badge.fill();
    // No seconds: a board that idles is laid out anew once a minute at most.
    let minutes = status.uptime / 60;
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let mut up = page.line(1, BAND);
    up.jump(side);
    match (hours / 24, hours % 24) {
        (0, hours) => up.say(DIM, format_args!("up {hours} h {minutes} min")),
        (days, hours) => up.say(DIM, format_args!("up {days} d {hours} h")),
    }
    up.fill();
}

fn facts<const N: usize>(status: &Status<'_>, page: &mut Page<'_, N>, row: u16) {
    let mut row = row;
    let mut next = |label: &str, page: &mut Page<'_, N>, say: &dyn Fn(&mut dyn Say)| {
        let mut line = page.line(row, BACKGROUND);
        line.say(DIM, format_args!("{label}"));
        line.to(VALUE);
        say(&mut line);
        line.fill();
        row += 1;
    };
    next("Board", page, &|line| {
        line.say(TEXT, format_args!("{}", status.model));
        line.say(DIM, format_args!(" · {}", status.version));
    });
    next("Address", page, &|line| {
        match status.address {
            Some([a, b, c, d]) => line.say(TEXT, format_args!("{a}.{b}.{c}.{d}")),
            None => line.say(AMBER, format_args!("none yet")),
        }
        let [a, b, c, d, e, f] = status.mac;
        let mac = format_args!(" · {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        line.say(DIM, mac);
    });
    next("Key", page, &|line| {
        for (index, pair) in status.fingerprint.chunks_exact(2).enumerate() {
            let gap = if index == 0 { "" } else { " " };
            if let [high, low] = *pair {
                line.say(TEXT, format_args!("{gap}{high:02x}{low:02x}"));
            }
        }
    });
    next("Memory", page, &|line| {
        let (free, all) = status.memory;
        let used = all.saturating_sub(free);
        line.bar(used, all, if free < all / 8 { AMBER } else { GREEN });
        line.say(TEXT, format_args!(" {} MiB free", free / 1024));
        line.say(DIM, format_args!(" of {}", all / 1024));
    });
    next("Chip", page, &|line| {
        let Some(chip) = status.chip else { return line.say(DIM, format_args!("not known")) };
        let degrees = chip.temperature / 1000;
        let color = match degrees {
            0..70 => GREEN,
            70..80 => AMBER,
            _ => RED,
        };
        line.bar(degrees, 85, color);
        line.say(TEXT, format_args!(" {degrees}.{} °C", chip.temperature / 100 % 10));
        if chip.under_voltage {
            line.say(RED, format_args!(" · under-voltage"));
        }
        if chip.throttled {
            line.say(AMBER, format_args!(" · throttled"));
        }
    });
    next("Last task", page, &|line| {
        let Some(last) = status.last else { return line.say(DIM, format_args!("none yet")) };
        line.say(if last.well { GREEN } else { RED }, format_args!("{}", last.how));
        line.say(TEXT, format_args!(" · {}", last.who));
        let (seconds, millis) = (last.millis / 1000, last.millis % 1000);
        line.say(DIM, format_args!(" · task {} · {seconds}.{millis:03} s", last.task));
    });
}

fn timetable<const N: usize>(slots: &[Slot<'_>], page: &mut Page<'_, N>, row: u16) {
    page.title(row, "Timetable", "longest ever of what is allowed");
    for (slot, row) in slots.iter().zip(row + 1..) {
        let mut line = page.line(row, BACKGROUND);
        line.say(TEXT, format_args!("{}", slot.name));
        line.to(VALUE);
        let color = match slot.worst {
            worst if worst > slot.budget => RED,
            worst if worst > slot.budget / 4 * 3 => AMBER,
            _ => GREEN,
        };
        line.bar(slot.worst, slot.budget, color);
        line.say(TEXT, format_args!(" {} us", slot.worst));
        line.say(DIM, format_args!(" of {}", slot.budget));
        line.fill();
    }
}

fn log<const N: usize>(status: &Status<'_>, page: &mut Page<'_, N>, row: u16) {
    page.title(row, "Log", "");
    let room = usize::from(page.rows.saturating_sub(row + 1));
    let skip = status.log.len().saturating_sub(room);
    let mut lines = status.log.iter().skip(skip);
    for row in row + 1..page.rows {
        let mut line = page.line(row, BACKGROUND);
        if let Some(text) = lines.next() {
            line.say(DIM, format_args!("{text}"));
        }
        line.fill();
    }
}

/// The screen in characters.
struct Page<'g, const N: usize> {
    grid: &'g mut Grid<N>,
    size: Size,
    columns: u16,
    rows: u16,
}

impl<const N: usize> Page<'_, N> {
    /// A line, begun with a margin.
    fn line(&mut self, row: u16, paper: Color) -> Line<'_, N> {
        let unit = self.size.cells();
        let end = self.grid.columns();
        let (row, size) = (row.saturating_mul(unit), self.size);
        let text_end = end.saturating_sub(MARGIN * unit);
        let (grid, ink) = (&mut *self.grid, TEXT);
        let mut line = Line { grid, size, unit, column: 0, row, text_end, end, ink, paper };
        line.to(MARGIN);
        line
    }

    fn title(&mut self, row: u16, title: &str, more: &str) {
        let mut line = self.line(row, BACKGROUND);
        line.say(BLUE, format_args!("{title}"));
        line.to(VALUE);
        line.say(DIM, format_args!("{more}"));
        line.fill();
    }
}

/// A line being written.
struct Line<'g, const N: usize> {
    grid: &'g mut Grid<N>,
    size: Size,
    /// Cells of a character of this page.
    unit: u16,
    /// In cells, and so are the other three.
    column: u16,
    row: u16,
    text_end: u16,
    end: u16,
    ink: Color,
    paper: Color,
}

/// What can be said on a line, whatever the size of the grid.
trait Say {
    fn say(&mut self, ink: Color, text: Arguments<'_>);
    fn bar(&mut self, part: u32, all: u32, ink: Color);
}

impl<const N: usize> Line<'_, N> {
    fn glyph(&mut self, glyph: u8) {
        let cells = self.size.cells();
        if self.column.saturating_add(cells) <= self.text_end {
            self.grid.put(self.column, self.row, glyph, self.size, self.ink, self.paper);
            self.column += cells;
        } else {
            self.column = self.column.max(self.text_end);
        }
    }

    /// Blank up to a column.
    fn to(&mut self, column: u16) {
        let column = column.saturating_mul(self.unit);
        self.blank(column, self.unit);
    }

    /// Goes to a column and leaves what is there.
    fn jump(&mut self, column: u16) {
        self.column = column.saturating_mul(self.unit);
    }

    /// Ends the line at a column.
    fn limit(&mut self, column: u16) {
        self.end = self.end.min(column.saturating_mul(self.unit));
        self.text_end = self.text_end.min(self.end);
    }

    /// Blank to the end.
    fn fill(&mut self) {
        self.blank(self.end, self.unit);
    }

    /// Blank to the end, so many characters of the page high.
    fn fill_rows(&mut self, rows: u16) {
        self.blank(self.end, self.unit * rows);
    }

    fn blank(&mut self, column: u16, rows: u16) {
        let blank = Cell::blank(self.paper);
        for column in self.column..column.min(self.end) {
            for row in 0..rows {
                self.grid.set(column, self.row.saturating_add(row), blank);
            }
        }
        self.column = self.column.max(column);
    }
}

impl<const N: usize> Say for Line<'_, N> {
    fn say(&mut self, ink: Color, text: Arguments<'_>) {
        self.ink = ink;
        // Never fails: what does not fit is left out.
        let _ = self.write_fmt(text);
    }

    /// A bar, filled to a part of it.
    fn bar(&mut self, part: u32, all: u32, ink: Color) {
        let full = u64::from(part) * u64::from(BAR) / u64::from(all).max(1);
        // What is used at all is seen.
        let full = full.clamp(u64::from(part > 0), u64::from(BAR)) as u16;
        for character in 0..BAR {
            self.ink = if character < full { ink } else { TROUGH };
            self.glyph(font::index('▬'));
        }
    }
}

impl<const N: usize> Write for Line<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.glyph(font::index(c));
        }
        Ok(())
    }
}

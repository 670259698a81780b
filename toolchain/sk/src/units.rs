//! Durations, sizes and addresses as people write and read them.

use std::net::Ipv4Addr;
use std::time::Duration;

use sk_client::Addressing;

/// Reads `1500ms`, `10s`, `1.5m`, `2h`. A bare number is refused: of what?
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let ms = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        "" => return Err(format!("'{text}' has no unit: write {text}s or {text}ms")),
        other => return Err(format!("'{other}' is no unit of time: use ms, s, m or h")),
    };
    let number: f64 =
        number.parse().map_err(|_| format!("'{text}' is no duration, such as 10s or 1500ms"))?;
    let ms = number * ms;
    // A manifest counts milliseconds in 32 bits.
    if !(1.0..=f64::from(u32::MAX)).contains(&ms) {
        return Err(format!("{text} is out of range: 1ms to 1193h"));
    }
    Ok(Duration::from_millis(ms.round() as u64))
}

/// Reads `512`, `64K`, `4M`, `4MiB`, `1G`: powers of 1024.
pub(crate) fn size(text: &str) -> Result<u32, String> {
    let (number, unit) = split(text);
    let factor = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 1,
        "k" | "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(format!("'{unit}' is no unit of size: use K, M or G, in steps of 1024")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("'{text}' is no size, such as 64K or 4M"))?;
    number
        .checked_mul(factor)
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| format!("{text} is more than a board can have (4G)"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// Reads how a board gets its address: `10.0.2.15/24` or `10.0.2.15/24,10.0.2.2`.
pub(crate) fn addressing(text: &str) -> Result<Addressing, String> {
    let (network, router) = match text.split_once(',') {
        Some((network, router)) => (network, Some(router)),
        None => (text, None),
    };
    let form = || format!("'{text}' is not of the form 10.0.2.15/24 or 10.0.2.15/24,10.0.2.2");
    let (ip, prefix) = network.split_once('/').ok_or_else(form)?;
    let ip: Ipv4Addr = ip.parse().map_err(|_| form())?;
    let prefix = prefix.parse().ok().filter(|prefix| (1..=31).contains(prefix)).ok_or_else(form)?;
    let gateway = router.map(str::parse).transpose().map_err(|_| form())?;
    Ok(Addressing::Static { ip, prefix, gateway })
}

/// `14 ms`, `3.1 s`, `2 min 5 s`.
pub(crate) fn show_time(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..1_000 => format!("{us} us"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..120_000_000 => format!("{:.2} s", us as f64 / 1e6),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// `900 B`, `64.0 KiB`, `1.2 MiB`.
pub(crate) fn show_size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// `12s`, `3m12s`, `2h05m`, `4d07h`: short, for tables.
pub(crate) fn show_uptime(seconds: u32) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("10"), Err("'10' has no unit: write 10s or 10ms".into()));
        assert_eq!(
            duration("10 parsecs"),
            Err("' parsecs' is no unit of time: use ms, s, m or h".into())
        );
        for bad in ["", "s", "-1s", "0s", "1.2.3s", "99999h", "nans", "infs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("4MiB"), Ok(4 << 20));
        assert_eq!(size("4MB"), Ok(4 << 20));
        assert_eq!(size("3G"), Ok(3 << 30));
        assert_eq!(size("5G"), Err("5G is more than a board can have (4G)".into()));
        for bad in ["", "M", "-1", "1.5M", "4T", "99999999999999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shown() {
        assert_eq!(show_time(Duration::from_micros(210)), "210 us");
        assert_eq!(show_time(Duration::from_micros(14_250)), "14.2 ms");
        assert_eq!(show_time(Duration::from_millis(3_100)), "3.10 s");
        assert_eq!(show_time(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(show_size(900), "900 B");
        assert_eq!(show_size(1_258_291), "1.2 MiB");
        let shown: Vec<_> = [12, 192, 7500, 370_800].into_iter().map(show_uptime).collect();
        assert_eq!(shown, ["12s", "3m12s", "2h05m", "4d07h"]);
    }

    #[test]
    fn fixed_addresses() {
        let (ip, gateway) = (Ipv4Addr::new(10, 0, 2, 15), Some(Ipv4Addr::new(10, 0, 2, 2)));
        assert_eq!(
            addressing("10.0.2.15/24"),
            Ok(Addressing::Static { ip, prefix: 24, gateway: None })
        );
        assert_eq!(
            addressing("10.0.2.15/24,10.0.2.2"),
            Ok(Addressing::Static { ip, prefix: 24, gateway })
        );
        for bad in
            ["", "10.0.2.15", "10.0.2.15/0", "10.0.2.15/32", "10.0.2/24", "10.0.2.15/24,", "x/24"]
        {
            assert!(addressing(bad).is_err(), "{bad}");
        }
    }
}

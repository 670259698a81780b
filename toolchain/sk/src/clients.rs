//! The clients file: who may use a board, for what, and how much of it.
//!
//! ```toml
//! [[client]]
//! name = "me"
//! key = "own"                     # this user's
//! roles = ["operate", "direct"]
//!
//! [[client]]
//! name = "ada"
//! key-file = "ada.key"            # what `sk key` printed for her
//! except = ["net"]                # or services = [...]: only these
//! limits = { memory = "16M", cpu = "10s", time = "1m", output = "1M", tasks-per-hour = 60 }
//! ```

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sk_abi::service::SERVICES;
use sk_client::{ClientEntry, Guest, Provisioned, Quotas, Roles, Store, from_hex};

use crate::failure::Failure;
use crate::{terminal, units};

/// The option of verbs that make a board.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Who may use the board, with roles, services and limits (docs/security.md);
    /// without it only you, without the role direct
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
}

impl Choice {
    /// Reads the file, if there is one: before keys are made.
    pub(crate) fn read(&self, store: &Store) -> Result<Option<Vec<Guest>>, Failure> {
        let Some(path) = &self.clients else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        let own = store.public_key()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let guests = parse(&text, &own, &|file| {
            let file = folder.join(file);
            std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
        });
        guests.map(Some).map_err(|what| {
            Failure::new(format!("{}: {what}", path.display()))
                .help("docs/security.md shows such a file")
        })
    }
}

/// Puts the clients on the board's list, and says what to hand to whom.
pub(crate) fn admit(
    store: &Store,
    made: &mut Provisioned,
    guests: Option<&[Guest]>,
) -> Result<(), Failure> {
    let Some(guests) = guests else { return Ok(()) };
    for handed in store.admit(made, guests)? {
        if handed.is_new {
            terminal::say(&format!(
                "{} needs {} to use {}: `sk accept FILE` there",
                handed.label,
                handed.record.display(),
                made.board.name
            ));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    client: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    key: Option<String>,
    key_file: Option<PathBuf>,
    roles: Option<Vec<String>>,
    services: Option<Vec<String>>,
    except: Option<Vec<String>>,
    #[serde(default)]
    limits: Limits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Limits {
    memory: Option<String>,
    cpu: Option<String>,
    time: Option<String>,
    output: Option<String>,
    tasks_per_hour: Option<u32>,
    packets_per_second: Option<u32>,
}

/// The list in `text`; `own` is this user's key, `read` reads a key file.
fn parse(
    text: &str,
    own: &[u8; 32],
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Vec<Guest>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string().trim().to_owned())?;
    let mut guests: Vec<Guest> = Vec::new();
    for entry in file.client {
        let guest =
            entry.guest(own, read).map_err(|what| format!("client \"{}\": {what}", entry.name))?;
        let same = |other: &&Guest| other.client.public_key == guest.client.public_key;
        if let Some(other) = guests.iter().find(same) {
            return Err(format!(
                "client \"{}\" has the key of client \"{}\"",
                entry.name, other.client.label
            ));
        }
        guests.push(guest);
    }
    if !guests.iter().any(|guest| guest.client.public_key == *own) {
        return Err("no client has key = \"own\": you could not reach the board yourself".into());
    }
    Ok(guests)
}

impl Entry {
    fn guest(
        &self,
        own: &[u8; 32],
        read: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Guest, String> {
        let text = match (&self.key, &self.key_file) {
            (Some(key), None) => key.clone(),
            (None, Some(file)) => read(file)?,
            _ => return Err("give it a key or a key-file, one of the two".into()),
        };
        let public_key = match text.trim() {
            "own" => *own,
            key => from_hex(key).ok_or(
                "its key is not 64 hexadecimal digits; `sk key` prints it, on its own machine",
            )?,
        };
        let mut client = ClientEntry::new(public_key, self.roles()?);
        client.label =
            self.name.parse().map_err(|_| "its name is too long: 24 bytes at most".to_owned())?;
        client.quotas = self.limits.quotas()?;
        if let Some(packets) = self.limits.packets_per_second {
            client.packets_per_s = packets;
        }
        Ok(Guest { client, services: self.services()? })
    }

    fn roles(&self) -> Result<Roles, String> {
        let Some(names) = &self.roles else { return Ok(Roles::OBSERVE.or(Roles::SUBMIT)) };
        let mut roles = Roles::NONE;
        for name in names {
            // Whoever may do one of these must be able to look.
            roles = roles.or(Roles::OBSERVE).or(match name.as_str() {
                "observe" => Roles::OBSERVE,
                "submit" => Roles::SUBMIT,
                "operate" => Roles::SUBMIT.or(Roles::OPERATE),
                "audit" => Roles::AUDIT,
                "direct" => Roles::SUBMIT.or(Roles::DIRECT),
                other => {
                    return Err(format!(
                        "there is no role \"{other}\": observe, submit, operate, audit or direct"
                    ));
                }
            });
        }
        Ok(roles)
    }

    /// Ids, ascending; `None`: all.
    fn services(&self) -> Result<Option<Vec<u32>>, String> {
        let (names, listed) = match (&self.services, &self.except) {
            (None, None) => return Ok(None),
            (Some(names), None) => (names, true),
            (None, Some(names)) => (names, false),
            (Some(_), Some(_)) => return Err("services and except exclude each other".into()),
        };
        for name in names {
            if !SERVICES.iter().any(|service| is_named(service.name, name)) {
                return Err(format!("there is no service or group \"{name}\": {}", groups()));
            }
        }
        let on_list = |name| names.iter().any(|listed| is_named(name, listed));
        let mut ids: Vec<u32> =
            SERVICES.iter().filter(|s| on_list(s.name) == listed).map(|s| s.id).collect();
        ids.sort_unstable();
        Ok(Some(ids))
    }
}

impl Limits {
    fn quotas(&self) -> Result<Quotas, String> {
        let size = |text: &Option<String>| text.as_deref().map_or(Ok(u32::MAX), units::size);
        let time = |text: &Option<String>| {
            text.as_deref().map_or(Ok(u32::MAX), |text| {
                units::duration(text)
                    .map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
            })
        };
        Ok(Quotas {
            mem: size(&self.memory)?,
            cpu_ms: time(&self.cpu)?,
            wall_ms: time(&self.time)?,
            out: size(&self.output)?,
            tasks_per_hour: self.tasks_per_hour.unwrap_or(u32::MAX),
        })
    }
}

/// Is the service `full` (`net.send/1`) what `name` means: itself, itself
/// without the version, or its group?
fn is_named(full: &str, name: &str) -> bool {
    let short = full.split('/').next().unwrap_or(full);
    let group = short.split('.').next().unwrap_or(short);
    [full, short, group].contains(&name)
}

fn groups() -> String {
    let mut groups: Vec<&str> =
        SERVICES.iter().filter_map(|service| service.name.split('.').next()).collect();
    groups.dedup();
    format!("the groups are {}", groups.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sk_abi::service::hash;

    const OWN: [u8; 32] = [1; 32];
    const ADA: &str = "0202020202020202020202020202020202020202020202020202020202020202";

    fn read(path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("ada.key") => Ok(format!("{ADA}\n")),
            _ => Err(format!("{}: not there", path.display())),
        }
    }

    fn parsed(text: &str) -> Result<Vec<Guest>, String> {
        parse(text, &OWN, &read)
    }

    #[test]
    fn a_whole_file() {
        let guests = parsed(
            "[[client]]\nname = 'me'\nkey = 'own'\nroles = ['operate', 'direct']\n\
             [[client]]\nname = 'ada'\nkey-file = 'ada.key'\nexcept = ['net', 'mem.peak']\n\
             limits = { memory = '16M', cpu = '10s', time = '1m', output = '1M', tasks-per-hour = 60 }\n",
        )
        .unwrap();
        let [me, ada] = &guests[..] else { panic!("{guests:?}") };
        assert_eq!(me.client.public_key, OWN);
        assert!(me.client.roles.contains(Roles::DIRECT.or(Roles::OPERATE).or(Roles::SUBMIT)));
        assert_eq!((me.services.clone(), me.client.quotas), (None, Quotas::default()));
        assert_eq!(ada.client.public_key, [2; 32]);
        assert_eq!(ada.client.roles, Roles::OBSERVE.or(Roles::SUBMIT));
        let ids = ada.services.as_ref().unwrap();
        assert!(ids.is_sorted() && ids.contains(&hash("io.write/1")));
        assert!(!ids.contains(&hash("net.send/1")) && !ids.contains(&hash("mem.peak/1")));
        assert!(ids.contains(&hash("mem.used/1")));
        assert_eq!(
            ada.client.quotas,
            Quotas {
                mem: 16 << 20,
                cpu_ms: 10_000,
                wall_ms: 60_000,
                out: 1 << 20,
                tasks_per_hour: 60
            }
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let own = "[[client]]\nname = 'me'\nkey = 'own'\n";
        let ada = |more: &str| format!("{own}[[client]]\nname = 'ada'\n{more}");
        let keyed = |more: &str| ada(&format!("key = '{ADA}'\n{more}"));
        for (text, said) in [
            ("", "missing field `client`".to_owned()),
            ("client = 3", "invalid type".into()),
            (&format!("[[client]]\nname = 'ada'\nkey = '{ADA}'"), "no client has key".into()),
            (&format!("{own}role = ['direct']"), "unknown field `role`".into()),
            (&ada(""), "client \"ada\": give it a key or a key-file".into()),
            (&ada("key = '123'"), "client \"ada\": its key is not 64 hex".into()),
            (&ada("key-file = 'b.key'"), "client \"ada\": b.key: not there".into()),
            (&ada("key = 'own'"), "client \"ada\" has the key of client \"me\"".into()),
            (&keyed("roles = ['root']"), "there is no role \"root\": observe,".into()),
            (
                &keyed("services = ['disk']"),
                "service or group \"disk\": the groups are task, io".into(),
            ),
            (&keyed("services = ['io']\nexcept = ['net']"), "exclude each other".into()),
            (&keyed("limits = { cpu = '10' }"), "'10' has no unit".into()),
            (&keyed("limits = { memory = '5T' }"), "'T' is no unit of size".into()),
            (
                &format!(
                    "{own}[[client]]\nname = 'a name that is much too long for it'\nkey = '{ADA}'"
                ),
                "too long".into(),
            ),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(&said), "{text}: {error}");
        }
    }
}

//! What several tests of the cryptographic half share.
#![allow(dead_code, reason = "no test uses all of it")]

use sk_hal::Entropy;
use sk_session::keys::{Ephemeral, StaticKey};
use sk_session::noise::{Initiator, Keys, NoiseError, Responder};
use sk_wire::{HsInit, HsResp, InitPayload, Prologue, RespPayload, Roles, State};

/// Randomness that is none: every byte has one value; or a generator that has
/// failed.
pub(crate) enum Fixed {
    Good(u8),
    Failed,
}

impl Entropy for Fixed {
    fn fill(&mut self, out: &mut [u8]) -> bool {
        match self {
            Self::Good(byte) => out.fill(*byte),
            Self::Failed => out.fill(0),
        }
        matches!(self, Self::Good(_))
    }
}

/// Everything that determines a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) client: [u8; 32],
    pub(crate) board: [u8; 32],
    pub(crate) client_e: [u8; 32],
    pub(crate) board_e: [u8; 32],
    pub(crate) psk: [u8; 32],
    pub(crate) prologue: Prologue,
    pub(crate) said: InitPayload,
    pub(crate) answered: RespPayload,
}

pub(crate) const CLIENT_INDEX: u32 = 0xC11E_4717;
pub(crate) const BOARD_INDEX: u32 = 0xB0A4_D001;

pub(crate) fn inputs() -> Inputs {
    Inputs {
        client: [0xC1; 32],
        board: [0xB2; 32],
        client_e: [0xE3; 32],
        board_e: [0xE4; 32],
        psk: [0x95; 32],
        prologue: Prologue {
            ver: 1,
            ver_min: 1,
            ver_max: 1,
            client_nonce: [0x11; 16],
            cookie: [0x22; 16],
            boot_id: [0x33; 16],
            caps_digest: [0x44; 16],
        },
        said: InitPayload {
            hs_counter: 1_700_000_000_123,
            want_roles: Roles::OBSERVE.or(Roles::SUBMIT).or(Roles::DIRECT),
            features: 0,
            boot_id: [0x33; 16],
        },
        answered: RespPayload {
            boot_id: [0x33; 16],
            caps_digest: [0x44; 16],
            state: State::Idle,
            ver: 1,
            granted_roles: Roles::OBSERVE.or(Roles::SUBMIT),
            window: 32,
            features: 0,
            session_ms: 900_000,
        },
    }
}

impl Inputs {
    pub(crate) fn board_public(&self) -> [u8; 32] {
        *StaticKey::from_secret(self.board).public()
    }

    pub(crate) fn initiate(&self) -> (Initiator, HsInit) {
        Initiator::start(
            &StaticKey::from_secret(self.client),
            &self.board_public(),
            &self.psk,
            Ephemeral::from_secret(self.client_e),
            &self.prologue,
            &self.said,
            CLIENT_INDEX,
        )
        .unwrap()
    }

    /// The whole of the board's side.
    pub(crate) fn respond(&self, init: &HsInit) -> Result<Answer, NoiseError> {
        let board = StaticKey::from_secret(self.board);
        let mut responder = Responder::begin(board.public(), &self.prologue, init);
        let client_public = responder.step_es(&board)?;
        let said = responder.step_ss(&board.agree(&client_public)?)?;
        responder.step_ee(Ephemeral::from_secret(self.board_e))?;
        let (resp, keys) = responder.step_se_psk(&self.psk, &self.answered, BOARD_INDEX)?;
        Ok(Answer { client_public, said, resp, keys })
    }

    /// Both sides' keys: `(client, board)`.
    pub(crate) fn keys(&self) -> (Keys, Keys) {
        let (initiator, init) = self.initiate();
        let answer = self.respond(&init).unwrap();
        (initiator.finish(&answer.resp).unwrap().1, answer.keys)
    }
}

pub(crate) struct Answer {
    pub(crate) client_public: [u8; 32],
    pub(crate) said: InitPayload,
    pub(crate) resp: HsResp,
    pub(crate) keys: Keys,
}

/// Bytes from hexadecimal digits; white space is skipped.
pub(crate) fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().unwrap()
}

//! What a client asks for, and whether it may (protocol sections 1.11, 1.15).

use sk_abi::Status;
use sk_wire::Roles;
use sk_wire::control::{self, Close, CodecError, FETCH_MAX, Fetch, Op, Phase, Request};
use sk_wire::frames::Object;
use sk_wire::manifest::TaskId;

use super::answers::{About, Due, Reply};
use super::board::Board;
use super::output::Job;
use super::{Event, Server};
use crate::base::Micros;
use crate::tasks::{Outcome, Refused};

/// Who asks.
#[derive(Clone, Copy)]
struct Asker {
    session: u32,
    client: u8,
    roles: Roles,
}

/// Decided now, or by [`Server::settle`] later.
type Decision = Result<(Due, About), Refused>;

const fn malformed(error: CodecError) -> Refused {
    (error.status(), 0)
}

impl Server<'_> {
    /// Carries out a request, or repeats what was answered to it before.
    /// `false` = it could not even be told which request it is.
    pub(super) fn request(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        session: u32,
        client: u8,
        roles: Roles,
        bytes: &[u8],
    ) -> bool {
        let Ok(request) = Request::parse(bytes) else { return false };
        let Some(asking) = self.sessions.get(session) else { return false };
        if let Some(reply) = asking.answers.find(request.id) {
            let about = reply.about;
            match reply.due {
                Due::Waiting => asking.poked = true,
                Due::Unsent | Due::Sent => reply.due = Due::Unsent,
            }
            if let (About::Fetch(fetch), Status::OK) = (about, reply.status) {
                self.feed.add(Job::new(session, &fetch));
            }
            return true;
        }
        if !asking.answers.has_room() {
            return false;
        }
        let asker = Asker { session, client, roles };
        let decision = self.decide(now, board, asker, &request);
        let (due, status, detail, about) = match decision {
            Ok((due, about)) => (due, Status::OK, 0, about),
            Err((status, detail)) => (Due::Unsent, status, detail, About::Nothing),
        };
        if let Some(asking) = self.sessions.get(session) {
            asking.answers.keep(Reply {
                id: request.id,
                op: request.op,
                due,
                status,
                detail,
                about,
            });
        }
        true
    }

    fn decide(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        asker: Asker,
        request: &Request<'_>,
    ) -> Decision {
        let body = request.body;
        match Op::new(request.op) {
            Some(Op::Submit) => self.submit(now, board, asker, body),
            Some(Op::Commit) => {
                let task = control::decode(body).map_err(malformed)?;
                self.tasks.commit(asker.client, task)?;
                self.feed.follow(asker.session);
                Ok((Due::Waiting, About::Committed { task, phase: Phase::Verifying }))
            }
            Some(Op::Status) => {
                let task = control::decode(body).map_err(malformed)?;
                self.may_watch(asker, task)?;
                Ok((Due::Unsent, About::Task(task)))
            }
            Some(Op::Abort) => {
                let abort: control::Abort = control::decode(body).map_err(malformed)?;
                let operator = asker.roles.contains(Roles::OPERATE);
                let task = self.tasks.abort(board, asker.client, operator, abort.task_id)?;
                Ok((Due::Waiting, About::Aborted { task, status: Status::OK }))
            }
            Some(Op::Result) => {
                let task = control::decode(body).map_err(malformed)?;
                self.tasks.receipt(asker.client, task).ok_or((Status::BAD_STATE, 0))?;
                self.feed.follow_if_owner(asker.session, self.tasks.owns(asker.client));
                Ok((Due::Unsent, About::Task(task)))
            }
            Some(Op::Fetch) => self.fetch(now, asker, body),
            Some(Op::ResultAck) => {
                let task = control::decode(body).map_err(malformed)?;
                self.tasks.result_ack(asker.client, task)?;
                Ok((Due::Unsent, About::Nothing))
            }
            Some(Op::Ping) => {
                let () = control::decode(body).map_err(malformed)?;
                Ok((Due::Unsent, About::Nothing))
            }
            Some(Op::Close) => {
                let Close { .. } = control::decode(body).map_err(malformed)?;
                self.close(board, asker);
                Ok((Due::Unsent, About::Nothing))
            }
            Some(Op::CapsGet | Op::Attest | Op::LogLevel | Op::ConfigPush | Op::Reboot) | None => {
                Err((Status::UNKNOWN_OP, 0))
            }
        }
    }

    fn submit(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        asker: Asker,
        body: &[u8],
    ) -> Decision {
        if !asker.roles.contains(Roles::SUBMIT) {
            return Err((Status::ROLE, 0));
        }
        if self.config.is_none_or(|config| config.policy.author_required) {
            // No signature can be given yet, so none can be right.
            return Err((Status::AUTHOR_SIG, 0));
        }
        let before = self.tasks.active();
        let (phase, expires_ms) = self.tasks.submit(now, board, asker.client, asker.roles, body)?;
        if phase != Phase::Done {
            self.feed.follow(asker.session);
        }
        if let (None, Some((task, client))) = (before, self.tasks.active()) {
            self.feed.begin();
            self.tell(Event::Accepted { task, client });
        }
        Ok((Due::Unsent, About::Accepted { phase, expires_ms }))
    }

    /// Owner, observer or operator?
    fn may_watch(&self, asker: Asker, task: TaskId) -> Result<(), Refused> {
        let watcher = !asker.roles.and(Roles::OBSERVE.or(Roles::OPERATE)).is_empty();
        let active =
            self.tasks.active().filter(|(name, _)| task == TaskId::ACTIVE || *name == task);
        match active {
            Some((_, owner)) if owner == asker.client || watcher => Ok(()),
            Some(_) => Err((Status::NOT_OWNER, 0)),
            None if task == TaskId::ACTIVE => Err((Status::BAD_STATE, 0)),
            None if watcher || self.tasks.receipt(asker.client, task).is_some() => Ok(()),
            None => Err((Status::BAD_STATE, 0)),
        }
    }

    fn fetch(&mut self, now: Micros, asker: Asker, body: &[u8]) -> Decision {
        let mut fetch: Fetch = control::decode(body).map_err(malformed)?;
        fetch.count = fetch.count.min(FETCH_MAX);
        match Object::new(fetch.object) {
            Some(Object::Stdout | Object::Stderr) => {
                if self.tasks.active().is_none() || !self.tasks.has_output() {
                    return Err((Status::BAD_STATE, 0));
                }
                if !self.tasks.owns(asker.client) {
                    return Err((Status::NOT_OWNER, 0));
                }
                self.tasks.attended(now);
                self.feed.follow(asker.session);
            }
            Some(Object::Log) if asker.roles.contains(Roles::OPERATE) => {}
            Some(Object::Log) => return Err((Status::ROLE, 0)),
            _ => return Err((Status::OBJECT, 0)),
        }
        if fetch.count == 0 {
            return Err((Status::RANGE, 0));
        }
        self.feed.add(Job::new(asker.session, &fetch));
        Ok((Due::Unsent, About::Fetch(fetch)))
    }

    fn close(&mut self, board: &mut impl Board, asker: Asker) {
        if let Some(session) = self.sessions.get(asker.session) {
            session.closing = true;
        }
        if self.sessions.of_client(asker.client) == 0 {
            self.tasks.left(board, asker.client);
        }
    }

    /// Answers what has been decided since it was asked.
    pub(super) fn settle(&mut self) {
        for session in self.sessions.all() {
            let client = session.client;
            for reply in session.answers.with(Due::Waiting) {
                let outcome = match reply.about {
                    About::Committed { task, .. } => {
                        match self.tasks.commit_outcome(client, task) {
                            Outcome::Wait => continue,
                            Outcome::Done(phase) => Ok(About::Committed { task, phase }),
                            Outcome::Refused(refused) => Err(refused),
                        }
                    }
                    About::Aborted { task, .. } => match self.tasks.abort_outcome(task) {
                        Outcome::Wait => continue,
                        Outcome::Done(status) => Ok(About::Aborted { task, status }),
                        Outcome::Refused(refused) => Err(refused),
                    },
                    about => Ok(about),
                };
                reply.due = Due::Unsent;
                match outcome {
                    Ok(about) => reply.about = about,
                    Err((status, detail)) => (reply.status, reply.detail) = (status, detail),
                }
            }
        }
    }
}

//! The thread that speaks to a board: the kernel waits up to 5 s for one that hangs, and nobody else must.
//!
//! Jobs are done one after the other, so that rest that is written after an order comes after it. An order to energise
//! whose asker has gone is not begun.

use std::io;
use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::hidraw::{HidRaw, Places, candidates};
use crate::report::{Report, Status};

/// What a board is asked and told.
pub(crate) trait Board {
    fn send(&mut self, report: &Report) -> io::Result<()>;
    fn status(&mut self) -> io::Result<Status>;
}

impl Board for HidRaw {
    fn send(&mut self, report: &Report) -> io::Result<()> {
        Self::send(self, report)
    }

    fn status(&mut self) -> io::Result<Status> {
        Self::status(self)
    }
}

/// Why a board cannot be had.
#[derive(Debug)]
pub(crate) enum Missing {
    /// There is none with that id; what there is instead.
    Absent(Vec<String>),
    /// Another program has it.
    Taken,
    /// It is not for this user.
    Forbidden(String),
    /// The system says something else.
    System(io::Error),
}

enum Job {
    Send {
        answer: oneshot::Sender<io::Result<()>>,
        energises: bool,
        report: Report,
    },
    Status(oneshot::Sender<io::Result<Status>>),
}

/// An open board with its thread, which ends with this.
#[derive(Debug)]
pub(crate) struct Worker(mpsc::Sender<Job>);

impl Worker {
    /// Opens a board by its id.
    pub(crate) async fn open(places: &Places, id: &str) -> Result<Self, Missing> {
        let (places, id) = (places.clone(), id.to_owned());
        Self::start(move || find(&places, &id)).await
    }

    /// Opens whatever `open` gives, in the thread that will speak to it.
    pub(crate) async fn start<B: Board>(
        open: impl FnOnce() -> Result<B, Missing> + Send + 'static,
    ) -> Result<Self, Missing> {
        let (jobs, todo) = mpsc::channel();
        let (opened, answer) = oneshot::channel();
        let work = move || match open() {
            Ok(board) => {
                if opened.send(Ok(())).is_ok() {
                    serve(board, &todo);
                }
            }
            Err(missing) => {
                let _ = opened.send(Err(missing));
            }
        };
        std::thread::Builder::new()
            .name("hid-relay".to_owned())
            .stack_size(128 * 1024)
            .spawn(work)
            .map_err(Missing::System)?;
        match answer.await {
            Ok(opened) => opened.map(|()| Self(jobs)),
            Err(_) => Err(Missing::System(io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(crate) async fn send(&self, report: Report, energises: bool) -> io::Result<()> {
        let (answer, done) = oneshot::channel();
        let job = Job::Send {
            answer,
            energises,
            report,
        };
        self.ask(job, done).await
    }

    pub(crate) async fn status(&self) -> io::Result<Status> {
        let (answer, done) = oneshot::channel();
        self.ask(Job::Status(answer), done).await
    }

    async fn ask<T>(&self, job: Job, done: oneshot::Receiver<io::Result<T>>) -> io::Result<T> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.send(job).map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }
}

fn serve(mut board: impl Board, todo: &mpsc::Receiver<Job>) {
    // nobody hears an answer that comes too late: what becomes of the order is asked of the board at its next claim
    while let Ok(job) = todo.recv() {
        match job {
            Job::Send {
                answer,
                energises: true,
                ..
            } if answer.is_closed() => {}
            Job::Send { answer, report, .. } => {
                let _ = answer.send(board.send(&report));
            }
            Job::Status(answer) => {
                let _ = answer.send(board.status());
            }
        }
    }
}

/// Opens the board with this id, for one user.
fn find(places: &Places, id: &str) -> Result<HidRaw, Missing> {
    let mut others = Vec::new();
    let mut forbidden = None;
    for path in candidates(places).map_err(Missing::System)? {
        let device = match HidRaw::open(&path) {
            Ok(device) => device,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden = Some(path.display().to_string());
                continue;
            }
            // unplugged in this moment
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a device cannot be opened");
                continue;
            }
        };
        match device.status() {
            Ok(status) if status.id() == id => {
                device.lock().map_err(|error| {
                    if error.kind() == io::ErrorKind::ResourceBusy {
                        Missing::Taken
                    } else {
                        Missing::System(error)
                    }
                })?;
                return Ok(device);
            }
            Ok(status) => others.push(status.id()),
            Err(error) => tracing::debug!(path = %path.display(), %error, "a device is no such board"),
        }
    }
    match forbidden {
        Some(path) => Err(Missing::Forbidden(path)),
        None => Err(Missing::Absent(others)),
    }
}

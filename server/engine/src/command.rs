//! Child programs: argument lists only, secrets by environment, killed with their whole group, never outliving us.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Mutex, OnceLock, mpsc},
};

use holdfast_vault::Cancel;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
};

use crate::sandbox::SandboxLevel;

/// Bytes of a child's error output that are kept: its beginning, and its end.
const KEPT: usize = 8 * 1024;

/// Why a child gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started: install it, or mend the path.
    #[error("{program} could not be started: {source}")]
    Start {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It was killed because somebody said so.
    #[error("cancelled")]
    Cancelled,
}

/// A program, its arguments and its surroundings. The environment of this process is not handed on,
/// but for `PATH` and `HOME`; messages come in English, so that they can be told apart.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    fence: Option<SandboxLevel>,
    farewell: &'static str,
}

/// How a child ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Whether its exit status was 0.
    pub ok: bool,
    /// The exit status or the signal, for people.
    pub how: String,
    /// What it wrote to its error output; the middle is left out where it was long.
    pub stderr: String,
}

/// How a child ended, and what it wrote.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output.
    pub stdout: Vec<u8>,
}

/// A running child. Dropping it kills it and its whole group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: Option<Pid>,
    stderr: Option<JoinHandle<String>>,
}

impl Program {
    /// A program by its path or, looked up in `PATH`, by its name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Vec::new(), env: Vec::new(), dir: None, fence: None, farewell: "KILL" }
    }

    /// Adds an argument. Never a secret: arguments are visible to every user of the host.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable; the way for secrets.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it in that folder.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Runs it behind a fence.
    #[must_use]
    pub fn fenced(mut self, level: &SandboxLevel) -> Self {
        self.fence = Some(level.clone());
        self
    }

    /// The signal that it gets when this process dies: `KILL` unless it has children of its own to end first.
    #[must_use]
    pub const fn farewell(mut self, signal: &'static str) -> Self {
        self.farewell = signal;
        self
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(|| self.path.display().to_string(), |n| n.to_string_lossy().into_owned())
    }

    /// Starts it. `unsafe` being out of the question, util-linux' `setpriv` asks the kernel for the farewell signal.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn(&self, stdout: Stdio) -> Result<Running, CommandError> {
        self.spawn_between(Stdio::null(), stdout).await
    }

    /// The same, with something to read.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn_between(&self, stdin: Stdio, stdout: Stdio) -> Result<Running, CommandError> {
        let failed = |source| CommandError::Start { program: self.name(), source };
        let mut line: Vec<OsString> = self.fence.as_ref().map(SandboxLevel::words).unwrap_or_default();
        line.push("setpriv".into());
        line.extend(self.fence.as_ref().map(SandboxLevel::privileges).unwrap_or_default());
        line.extend(["--pdeathsig".into(), self.farewell.into(), "--".into(), self.path.clone().into_os_string()]);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).args(&self.args).env_clear();
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LC_ALL", "C").envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).process_group(0);
        let mut child = on_lasting_thread(command).await.map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let stderr = child.stderr.take().map(|pipe| tokio::spawn(keep_ends(pipe)));
        Ok(Running { child, group, stderr })
    }

    /// Runs it to its end and keeps its standard output, which must be known to be small.
    ///
    /// # Errors
    /// When it cannot be started, or was cancelled; a bad exit status is in the [`Output`].
    pub async fn output(&self, cancel: &Cancel) -> Result<Output, CommandError> {
        let mut running = self.spawn(Stdio::piped()).await?;
        let pipe = running.child.stdout.take();
        let read = async {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes).await;
            }
            bytes
        };
        let work = async {
            let stdout = read.await;
            Output { ended: running.wait().await, stdout }
        };
        tokio::select! {
            output = work => Ok(output),
            () = thrown(cancel) => Err(CommandError::Cancelled),
        }
    }
}

impl Running {
    /// Waits for its end.
    pub async fn wait(&mut self) -> Ended {
        let status = self.child.wait().await;
        let stderr = match self.stderr.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => String::new(),
        };
        match status {
            Ok(status) => Ended { ok: status.success(), how: how(status), stderr },
            Err(error) => Ended { ok: false, how: error.to_string(), stderr },
        }
    }

    /// Its end, if it has ended; never waits.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the child alone.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.group
            && self.child.id().is_some()
        {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once the child was waited for, its number may belong to somebody else.
        if let Some(group) = self.group
            && self.child.id().is_some()
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Comes back once the switch was thrown.
pub(crate) async fn thrown(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".into(),
    }
}

/// The kernel sends the farewell signal when the *thread* that started the child ends, and a runtime's threads come
/// and go. So all children are started from one thread that lasts as long as the process.
async fn on_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, Handle, oneshot::Sender<io::Result<Child>>);
    static STARTER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        let _ = std::thread::Builder::new().name("children".into()).spawn(move || {
            for (mut command, runtime, answer) in jobs {
                let _inside = runtime.enter();
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (sender, answer) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts children has gone");
    starter.lock().map_err(|_| gone())?.send((command, Handle::current(), sender)).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

async fn keep_ends(mut pipe: impl AsyncRead + Unpin) -> String {
    let (mut head, mut tail, mut left_out) = (Vec::new(), Vec::new(), false);
    let mut buffer = [0_u8; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = KEPT.saturating_sub(head.len()).min(count);
        head.extend_from_slice(&buffer[..room]);
        tail.extend_from_slice(&buffer[room..count]);
        if tail.len() > 2 * KEPT {
            left_out = true;
            tail.drain(..tail.len() - KEPT);
        }
    }
    let between = if left_out { "\n[…]\n" } else { "" };
    format!("{}{between}{}", String::from_utf8_lossy(&head), String::from_utf8_lossy(&tail)).trim().to_owned()
}

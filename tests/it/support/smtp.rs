//! An SMTP server on a port of this machine, that takes e-mails or does not, as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An e-mail that has arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub from: String,
    pub to: Vec<String>,
    /// As it was sent, with its headers.
    pub text: String,
}

impl Arrived {
    /// The value of a header that stands in one line; empty without one.
    pub fn header(&self, name: &str) -> &str {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default()
    }
}

/// What is said to an e-mail that has been read whole.
#[derive(Debug, Clone)]
pub enum Answer {
    Line(&'static str),
    /// The connection is closed without a word.
    HangUp,
}

/// See the module.
pub struct Smtp {
    pub address: SocketAddr,
    shared: Shared,
    running: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    /// For the next e-mails; 250 behind them.
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Smtp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Shared { arrived: Arc::default(), answers: Arc::default() };
        let serving = shared.clone();
        let running = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, serving.clone()));
            }
        });
        Self { address, shared, running }
    }

    /// The settings of who sends by it.
    pub fn settings(&self) -> orqit::email::Settings {
        let url = format!("smtp://{}", self.address);
        let from = "Service desk <desk@example.com>";
        orqit::email::Settings::new(&url, from, None).expect("settings")
    }

    /// Says this to the next e-mails, one after the other.
    pub fn answer(&self, answers: &[Answer]) {
        *self.shared.answers.lock().expect("not poisoned") = answers.to_vec();
    }

    /// All that has arrived, taken or not.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().expect("not poisoned").clone()
    }

    /// What has arrived once there is so much of it.
    pub async fn wait(&self, count: usize) -> Vec<Arrived> {
        for _ in 0..3000 {
            let arrived = self.arrived();
            if arrived.len() >= count {
                return arrived;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} of {count} e-mails have arrived", self.arrived().len());
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(connection: TcpStream, shared: Shared) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    connection.write_all(b"220 mail.example.com\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (line, mut answer) = (line.trim_end(), "250 OK");
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        if line.starts_with("EHLO") {
            answer = "250-mail.example.com\r\n250-8BITMIME\r\n250 SMTPUTF8";
        } else if line.starts_with("MAIL FROM") {
            (from, to) = (address(), Vec::new());
        } else if line.starts_with("RCPT TO") {
            to.push(address());
            if address().starts_with("nobody@") {
                answer = "550 5.1.1 nobody of that name";
            }
        } else if line == "DATA" {
            connection.write_all(b"354 go on\r\n").await?;
            let mut text = String::new();
            while !text.ends_with("\r\n.\r\n") {
                if connection.read_line(&mut text).await? == 0 {
                    return Ok(());
                }
            }
            let arrived = Arrived { from: from.clone(), to: to.clone(), text };
            shared.arrived.lock().expect("not poisoned").push(arrived);
            let mut answers = shared.answers.lock().expect("not poisoned");
            match if answers.is_empty() { None } else { Some(answers.remove(0)) } {
                Some(Answer::Line(line)) => answer = line,
                Some(Answer::HangUp) => return Ok(()),
                None => answer = "250 2.0.0 queued as 4711",
            }
        } else if line == "QUIT" {
            answer = "221 bye";
        }
        connection.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

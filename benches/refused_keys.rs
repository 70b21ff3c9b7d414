//! Whether the time of a refusal tells what is wrong with a key: unknown, of another secret, or
//! revoked.
//!
//! `cargo bench --bench refused_keys` asks a service in this process over loopback, by one
//! connection, in rounds of one key of each kind in random order, so that whatever else the machine
//! does meets all kinds alike. The slowest tenth of all samples is left out as the machine's doing.
//! Then Welch's t of each pair of kinds says whether their means differ: beyond 4.5 they do, as it
//! is customary for timing attacks (dudect).
//!
//! Under `cargo test` every kind is refused a few times, and no time is looked at.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use orqit::auth::attempts::Budget;
use orqit::auth::key::KeyText;
use orqit::clock::Clock;
use orqit::connections::Bounds;
use orqit::event::Actor;
use orqit::held_bytes;
use orqit::limits;
use orqit::server::Server;
use orqit::service::workspace::record_new;
use orqit::store::{MadeBy, NewKey, NewWorkspace, Settings, Store, WorkspaceId};
use orqit::usage::Recorder;
use orqit::usage::retention::Retention;
use orqit::webhooks;
use orqit::webhooks::vault::Vault;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::net::TcpListener;

/// Keys of each kind; the database has those of the last two.
const KEYS: usize = 1000;
/// Samples of each kind, and under `cargo test`.
const SAMPLES: (usize, usize) = (25_000, 20);
/// Rounds before the first that counts.
const WARM_UP: usize = 500;
/// The part of all samples that counts.
const KEPT: f64 = 0.9;
/// From here on a difference is taken to be one.
const T_MAX: f64 = 4.5;

const KINDS: [&str; 3] = ["unknown", "wrong secret", "revoked"];

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    // The arguments are those of the test runner: a name filter means other tests.
    if !is_bench && arguments.iter().any(|argument| !argument.starts_with('-')) {
        return ExitCode::SUCCESS;
    }
    match run(is_bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("refused_keys: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(is_bench: bool) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (ready, address) = std::sync::mpsc::channel();
    let path = folder.path().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Serves until this process ends.
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(serve(&path, &ready)) {
            eprintln!("refused_keys: the service stopped: {error}");
        }
    });
    let (address, keys) = address.recv()?;
    let mut client = Client::connect(address)?;
    if !is_bench {
        sample(&mut client, &keys, SAMPLES.1)?;
        println!("refused_keys: every kind of key was refused {} times", SAMPLES.1);
        return Ok(());
    }
    sample(&mut client, &keys, WARM_UP)?;
    report(sample(&mut client, &keys, SAMPLES.0)?);
    Ok(())
}

/// The keys of each kind, as they are sent.
type Keys = [Vec<String>; 3];

/// Makes a database with keys, tells them and the address, and serves.
async fn serve(
    folder: &Path,
    ready: &std::sync::mpsc::Sender<(SocketAddr, Keys)>,
) -> Result<(), Failure> {
    let file = folder.join("orqit.db");
    let url = format!("sqlite://{}", file.display());
    let store = Store::open(&url, &Settings::default(), Clock::System).await?;
    let (slug, name) = ("default".to_owned(), "Default".to_owned());
    let new = NewWorkspace { slug, name, admin_email: None };
    let workspace = store.insert_workspace(new, record_new).await?;
    let unknown = (0..KEYS).map(|_| KeyText::generate().reveal().to_owned()).collect();
    let wrong = insert_keys(&store, workspace.id, "wrong secret").await?;
    let revoked = insert_keys(&store, workspace.id, "revoked").await?;
    let connection = rusqlite::Connection::open(&file)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.execute("UPDATE api_keys SET revoked_at = 1 WHERE name = 'revoked'", [])?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready.send((listener.local_addr()?, [unknown, wrong, revoked]))?;
    Ok(server(store).run(listener, std::future::pending()).await?)
}

/// Stores keys; of those with a wrong secret the id is that of the key which is sent, the hash is
/// not.
async fn insert_keys(
    store: &Store,
    workspace: WorkspaceId,
    kind: &str,
) -> Result<Vec<String>, Failure> {
    let mut tx = store.begin(workspace, Actor::operator()).await?;
    let mut sent = Vec::with_capacity(KEYS);
    for _ in 0..KEYS {
        let key = KeyText::generate();
        let hash = if kind == "revoked" { key.hash() } else { KeyText::generate().hash() };
        let scopes = vec!["tickets:read".to_owned(), "tickets:write".to_owned()];
        let new = NewKey {
            key_id: key.id().to_owned(),
            key_hash: hash.0,
            name: kind.to_owned(),
            description: None,
            requested_scopes: scopes.clone(),
            scopes,
            per_minute: 60,
            group_per_minute: 30,
            expires_at: None,
            created_by: None,
            last_four: key.last_four().to_owned(),
            made_by: MadeBy::Operator,
        };
        tx.insert_key(new).await?;
        sent.push(key.reveal().to_owned());
    }
    tx.commit().await?;
    Ok(sent)
}

fn server(store: Store) -> Server {
    let timeout = Duration::from_secs(30);
    let usage = Recorder::new(store.clone(), 1024);
    Server {
        store,
        usage,
        retention: Retention { request_logs: timeout, events: timeout, emails: timeout },
        limits: limits::Settings { redis: None, redis_timeout: timeout, replicas: 1 },
        clock: Clock::System,
        tls: None,
        reflection: false,
        cors_origins: Vec::new(),
        request_timeout: timeout,
        body_timeout: timeout,
        bounds: Bounds {
            header_timeout: timeout,
            write_timeout: timeout,
            drain_timeout: timeout,
            connections_max: 10,
            connections_per_address: 10,
            trusted_proxies: Vec::new().into(),
        },
        bodies: held_bytes::Bounds::of_mib(64, 16),
        answers: held_bytes::Bounds::of_mib(64, 32),
        trusted_proxies: Vec::new(),
        // What is measured is all refused.
        failed_attempts: Budget { burst: NonZeroU32::MAX, ..Budget::default() },
        github_keys: None,
        public_url: "http://127.0.0.1:8080".to_owned(),
        webhooks: webhooks::Settings::new(Vault::default()),
        email: None,
    }
}

/// The nanoseconds of refusals, of each kind.
fn sample(client: &mut Client, keys: &Keys, rounds: usize) -> Result<[Vec<f64>; 3], Failure> {
    let mut samples = KINDS.map(|_| Vec::with_capacity(rounds));
    let mut random = rand::rng();
    let mut order = [0, 1, 2];
    for _ in 0..rounds {
        order.shuffle(&mut random);
        for kind in order {
            let key = keys[kind].choose(&mut random).ok_or("no keys")?;
            samples[kind].push(client.refused_after(key)?.as_nanos() as f64);
        }
    }
    Ok(samples)
}

/// One connection.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream, answer: vec![0; 64 * 1024] })
    }

    /// How long it takes until the key is refused.
    fn refused_after(&mut self, key: &str) -> Result<Duration, Failure> {
        let request = format!(
            "GET /api/public/v1/keys/self HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        let begun = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        // A refusal is short: it comes in one piece.
        let len = self.stream.read(&mut self.answer)?;
        let took = begun.elapsed();
        let answer = &self.answer[..len];
        if answer.starts_with(b"HTTP/1.1 401") && answer.ends_with(b"}}") {
            return Ok(took);
        }
        Err(format!("not a refusal: {}", String::from_utf8_lossy(answer)).into())
    }
}

/// What is known of the samples of a kind.
struct Figures {
    median: f64,
    mean: f64,
    /// The square of the mean's standard error.
    error: f64,
}

impl Figures {
    /// Of the samples that are at most `longest`.
    fn new(mut samples: Vec<f64>, longest: f64) -> Self {
        samples.sort_by(f64::total_cmp);
        let median = samples[samples.len() / 2];
        samples.retain(|sample| *sample <= longest);
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        Self { median, mean, error: squares / (count - 1.0) / count }
    }
}

fn report(samples: [Vec<f64>; 3]) {
    let mut all: Vec<f64> = samples.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let longest = all[(all.len() as f64 * KEPT) as usize];
    let figures = samples.map(|samples| Figures::new(samples, longest));
    println!("{} refusals of each kind, over HTTP/1.1 on loopback, in µs", SAMPLES.0);
    println!("{:14} {:>8} {:>13}", "key", "median", "trimmed mean");
    for (kind, figures) in KINDS.iter().zip(&figures) {
        println!("{kind:14} {:8.2} {:13.3}", figures.median / 1e3, figures.mean / 1e3);
    }
    let mut differ = false;
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let (a, b) = (&figures[one], &figures[other]);
        let t = (a.mean - b.mean) / (a.error + b.error).sqrt();
        differ |= t.abs() >= T_MAX;
        let pair = format!("{} − {}", KINDS[one], KINDS[other]);
        println!("{pair:24} {:+8.3} µs, t = {t:+.2}", (a.mean - b.mean) / 1e3);
    }
    if differ {
        println!("A difference is seen: |t| ≥ {T_MAX}. The time of a refusal tells what is wrong.");
    } else {
        println!("No difference is seen: every |t| < {T_MAX}.");
    }
}

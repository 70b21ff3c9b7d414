//! The scenarios on SQLite: the builds side by side, and a bare handler beside them.
//!
//! Each build loads the tickets into a database of its own, since another's may have a schema that
//! it does not know. Every other process gets a copy: no two of them open the same file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::load::Target;
use crate::measure;
use crate::plan::{Plan, Tickets};
use crate::processes::{self, Server};
use crate::report::{Memory, Table};
use crate::scenarios::{Build, Contender, Scenario, Side, THIS, creates, reads};
use crate::service::{FIRST_WORKSPACE, Import, Service};
use crate::{answers, bare, incidents};

/// How long started servers are left alone before their memory is read.
const STARTED: Duration = Duration::from_secs(1);
/// How long servers are left alone before their idle memory is read.
const IDLE: Duration = Duration::from_secs(5);
const DATABASE: &str = "orqit.db";
/// The name that selects the load of the tickets.
const IMPORT: &str = "import";

/// All figures.
#[derive(Default)]
pub struct Measured {
    /// By the names of the builds that had to load the tickets.
    pub imports: Vec<(String, Import)>,
    pub tables: Vec<Table>,
    pub memory: Vec<Memory>,
}

/// Whether the plan asks for anything of this.
pub fn is_wanted(plan: &Plan) -> bool {
    plan.wants(IMPORT) || has_scenarios(plan)
}

fn has_scenarios(plan: &Plan) -> bool {
    // The names of the scenarios are the same for any number of tickets.
    let scenarios = on_sqlite(1, &plan.builds, true);
    scenarios.iter().any(|scenario| plan.wants(&scenario.name))
}

/// Loads the tickets and measures the scenarios that the plan asks for.
pub async fn measure(plan: &Plan) -> Result<Measured, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut measured = Measured { imports: prepare(plan, scratch.path())?, ..Measured::default() };
    if !has_scenarios(plan) {
        return Ok(measured);
    }
    let subjects = Subjects::start(plan, scratch.path()).await?;
    plan.pause(STARTED).await;
    let fresh_kib = subjects.rss_kib()?;
    for scenario in subjects.scenarios(plan) {
        let target = |contender: &Contender| subjects.target(contender);
        measured.tables.push(measure::measure(&scenario, target, plan.effort).await?);
    }
    plan.pause(IDLE).await;
    let memory = plan.builds.iter().zip(fresh_kib.into_iter().zip(subjects.rss_kib()?));
    measured.memory = memory
        .map(|(build, (fresh_kib, idle_kib))| Memory {
            name: build.name.clone(),
            fresh_kib,
            idle_kib,
        })
        .collect();
    Ok(measured)
}

/// Gives each build its loaded database in `scratch`; what the loads took that were needed.
fn prepare(plan: &Plan, scratch: &Path) -> Result<Vec<(String, Import)>, String> {
    let mut imports = Vec::new();
    for (number, build) in plan.builds.iter().enumerate() {
        let folder = scratch.join(folder_of(number));
        let kept = plan.keep.as_ref().map(|keep| keep.join(folder_of(number)));
        if let Some(kept) = kept.as_ref().filter(|kept| kept.exists()) {
            copy_database(kept, &folder)?;
            continue;
        }
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let import = load_tickets(plan, &build.program, &folder)?;
        imports.push((build.name.clone(), import));
        if let Some(kept) = kept {
            // Renamed once it is whole, so that a run that is cut off keeps nothing.
            let partial = kept.with_extension("partial");
            copy_database(&folder, &partial)?;
            fs::rename(&partial, &kept).map_err(|error| error.to_string())?;
        }
    }
    Ok(imports)
}

fn folder_of(build: usize) -> String {
    if build == THIS { "this".to_owned() } else { format!("against-{build}") }
}

fn load_tickets(plan: &Plan, program: &Path, folder: &Path) -> Result<Import, String> {
    let loader = start(plan, program, folder, None)?;
    match &plan.tickets {
        Tickets::MadeUp(count) => loader.import(&incidents::write(folder, *count)?, None),
        Tickets::In(data) => {
            loader.import(&data.join("tickets.ndjson.gz"), Some(&data.join("events.ndjson.gz")))
        }
    }
}

fn start(
    plan: &Plan,
    program: &Path,
    folder: &Path,
    redis_url: Option<&str>,
) -> Result<Service, String> {
    let url = format!("sqlite://{}", folder.join(DATABASE).display());
    let workspaces = [FIRST_WORKSPACE.to_owned()];
    Service::start(program, &url, &workspaces, plan.placement, redis_url)
}

/// Copies a database that no process has open. Its last changes may still stand in the log alone.
fn copy_database(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot copy the database: {error}");
    fs::create_dir_all(to).map_err(failed)?;
    for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// The servers under measurement.
struct Subjects {
    builds: Vec<Service>,
    bare: Server,
    /// This build beside Redis, where `ORQIT_TEST_REDIS_URL` names one.
    redis: Option<Service>,
    tickets: u32,
}

impl Subjects {
    /// Starts the builds on their databases, and on copies of this build's the bare server, with
    /// answers of this build, and the service beside Redis. All of them are started anew, so that
    /// their memory is that of a service that has loaded nothing.
    async fn start(plan: &Plan, scratch: &Path) -> Result<Self, String> {
        let redis_url = std::env::var("ORQIT_TEST_REDIS_URL").ok();
        let [this, beside_bare, beside_redis] =
            [folder_of(THIS), "bare".to_owned(), "redis".to_owned()].map(|name| scratch.join(name));
        copy_database(&this, &beside_bare)?;
        copy_database(&this, &beside_redis)?;
        let programs = plan.builds.iter().enumerate();
        let builds: Vec<Service> = programs
            .map(|(number, build)| {
                start(plan, &build.program, &scratch.join(folder_of(number)), None)
            })
            .collect::<Result<_, _>>()?;
        let tickets = answers::capture(&builds[THIS], &beside_bare).await?;
        let me = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = processes::command(&me, plan.placement);
        command.arg("bare").arg(&beside_bare).arg(beside_bare.join(DATABASE));
        let bare = Server::start(command, bare::READY)?;
        let redis = redis_url
            .map(|url| start(plan, &plan.builds[THIS].program, &beside_redis, Some(&url)))
            .transpose()?;
        Ok(Self { builds, bare, redis, tickets })
    }

    fn scenarios(&self, plan: &Plan) -> impl Iterator<Item = Scenario> {
        let all = on_sqlite(self.tickets, &plan.builds, self.redis.is_some());
        all.into_iter().filter(|scenario| plan.wants(&scenario.name))
    }

    fn target(&self, contender: &Contender) -> Target<'_> {
        let this = &self.builds[THIS];
        let (server, service) = match contender.side {
            Side::Build(number) => (&self.builds[number].server, &self.builds[number]),
            Side::Bare => (&self.bare, this),
            Side::Redis => {
                let redis = self.redis.as_ref().expect("asked only where it runs");
                (&redis.server, redis)
            }
        };
        Target { server, keys: service.keys(contender.callers), database: None }
    }

    /// The memory of each build now.
    fn rss_kib(&self) -> Result<Vec<u64>, String> {
        self.builds.iter().map(|service| service.server.rss_kib()).collect()
    }
}

/// The scenarios on SQLite, in a workspace with so many tickets.
fn on_sqlite(tickets: u32, builds: &[Build], with_redis: bool) -> Vec<Scenario> {
    let mut scenarios = reads::on_sqlite(tickets, with_redis);
    scenarios.iter_mut().for_each(|scenario| scenario.ask_too(&builds[THIS + 1..]));
    scenarios.extend(creates::on_sqlite(builds));
    scenarios
}

//! The scenarios on PostgreSQL: each build with a database of its own on one server.
//!
//! Nothing is pinned: the database server, the services and the load share all cores, as the system
//! places them.

use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};

use crate::load::Target;
use crate::measure;
use crate::plan::Plan;
use crate::postmaster::Postmaster;
use crate::processes::Placement;
use crate::report::Table;
use crate::scenarios::creates;
use crate::scenarios::{Build, Contender, Side};
use crate::service::{self, Service};

/// Where a PostgreSQL server is.
pub const SERVER_URL: &str = "ORQIT_TEST_DATABASE_URL";
/// The settings that decide what a commit costs.
const SETTINGS: [&str; 4] = ["server_version", "fsync", "synchronous_commit", "full_page_writes"];

/// Whether the plan asks for anything of this.
pub fn is_wanted(plan: &Plan) -> bool {
    creates::on_postgres(&plan.builds, plan.workspaces)
        .iter()
        .any(|scenario| plan.wants(&scenario.name))
}

/// Measures the scenarios that the plan asks for, on the server at this URL.
pub async fn measure(plan: &Plan, server_url: &str) -> Result<Vec<Table>, String> {
    let mut server = DatabaseServer::connect(server_url).await?;
    println!("{}\n", server.settings().await?);
    let names: Vec<String> = (0..plan.builds.len())
        .map(|build| format!("orqit_benchmark_{}_{build}", std::process::id()))
        .collect();
    for name in &names {
        server.execute(format!("CREATE DATABASE {name}")).await?;
    }
    let measured = measure_builds(plan, &server, &names).await;
    let dropped = server.drop_databases(&names).await;
    // Why the measurement failed is worth more than why what it left could not be dropped.
    let tables = measured?;
    dropped.map(|()| tables)
}

async fn measure_builds(
    plan: &Plan,
    server: &DatabaseServer,
    databases: &[String],
) -> Result<Vec<Table>, String> {
    let started = plan.builds.iter().zip(databases);
    let services: Vec<Service> = started
        .map(|(build, database)| start(build, &sibling(&server.url, database), plan.workspaces))
        .collect::<Result<_, _>>()?;
    let target = |contender: &Contender| {
        let Side::Build(number) = contender.side else {
            unreachable!("only builds are measured on PostgreSQL")
        };
        let service = &services[number];
        Target {
            server: &service.server,
            keys: service.keys(contender.callers),
            database: server.postmaster.as_ref(),
        }
    };
    let mut tables = Vec::new();
    for scenario in creates::on_postgres(&plan.builds, plan.workspaces) {
        if plan.wants(&scenario.name) {
            tables.push(measure::measure(&scenario, target, plan.effort).await?);
        }
    }
    Ok(tables)
}

fn start(build: &Build, database_url: &str, workspaces: usize) -> Result<Service, String> {
    let workspaces: Vec<String> =
        (1..=workspaces).map(|number| format!("benchmark-{number}")).collect();
    for slug in &workspaces {
        service::make_workspace(&build.program, database_url, slug)?;
    }
    Service::start(&build.program, database_url, &workspaces, Placement::Inherited, None)
}

/// The URL of another database on the same server.
fn sibling(server_url: &str, name: &str) -> String {
    let (base, query) = server_url.split_once('?').unwrap_or((server_url, ""));
    let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
    format!("{server}/{name}?{query}")
}

/// A connection to the server, to make databases by.
struct DatabaseServer {
    url: String,
    connection: PgConnection,
    postmaster: Option<Postmaster>,
}

impl DatabaseServer {
    async fn connect(url: &str) -> Result<Self, String> {
        let mut connection = PgConnection::connect(url).await.map_err(failed)?;
        let backend = sqlx::query_scalar("SELECT pg_backend_pid()");
        let backend: i32 = backend.fetch_one(&mut connection).await.map_err(failed)?;
        let postmaster = Postmaster::of(&backend.to_string());
        Ok(Self { url: url.to_owned(), connection, postmaster })
    }

    /// A line that tells how safe and how dear a commit is.
    async fn settings(&mut self) -> Result<String, String> {
        let mut told = Vec::new();
        for name in SETTINGS {
            let show = sqlx::query_scalar(AssertSqlSafe(format!("SHOW {name}")));
            let value: String = show.fetch_one(&mut self.connection).await.map_err(failed)?;
            told.push(format!("{name} {value}"));
        }
        Ok(format!("PostgreSQL: {}.", told.join(", ")))
    }

    async fn drop_databases(&mut self, names: &[String]) -> Result<(), String> {
        for name in names {
            self.execute(format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }

    async fn execute(&mut self, statement: String) -> Result<(), String> {
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connection).await;
        done.map(drop).map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> String {
    format!("PostgreSQL: {error}")
}

//! A database with one workspace of many tickets, made by a few statements: a ticket a minute, whose
//! properties follow from its number by multiplications modulo primes.

use orqit::clock::Clock;
use orqit::service::workspace::record_new;
use orqit::store::{NewWorkspace, Settings, Store, WorkspaceId};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;

use crate::Failure;

/// When the first ticket was made, and how long after it the next.
pub const START: i64 = 1_700_000_000_000;
pub const MINUTE_MS: i64 = 60_000;
/// The users that tickets refer to: agents are the first of them.
const USERS: i64 = 1_000;
const AGENTS: i64 = 45;

pub struct Database {
    pub store: Store,
    pub workspace: WorkspaceId,
    /// On PostgreSQL the server and the database's name.
    server: Option<(String, String)>,
    _folder: TempDir,
}

impl Database {
    /// A database with so many tickets, where `ORQIT_TEST_DATABASE_URL` says, or in SQLite.
    pub async fn make(tickets: i64) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let (url, server) = match std::env::var("ORQIT_TEST_DATABASE_URL") {
            Ok(server) => {
                let name = format!("orqit_lists_{tickets}");
                run(&server, &format!("CREATE DATABASE {name}")).await?;
                let (base, _) = server.rsplit_once('/').ok_or("a URL ends in a database")?;
                (format!("{base}/{name}"), Some((server.clone(), name)))
            }
            Err(_) => (format!("sqlite://{}/lists.db", folder.path().display()), None),
        };
        let store = Store::open(&url, &Settings::default(), Clock::System).await?;
        let (slug, name) = ("default".to_owned(), "Default".to_owned());
        let new = NewWorkspace { slug, name, admin_email: None };
        let workspace = store.insert_workspace(new, record_new).await?.id;
        store.close().await?;
        fill(&sea_orm::Database::connect(&url).await?, workspace, tickets).await?;
        let settings = Settings {
            postgres_statement_timeout: std::time::Duration::from_secs(120),
            ..Settings::default()
        };
        let store = Store::open(&url, &settings, Clock::System).await?;
        Ok(Self { store, workspace, server, _folder: folder })
    }

    pub async fn remove(self) -> Result<(), Failure> {
        self.store.close().await?;
        if let Some((server, name)) = self.server {
            run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }
}

async fn run(url: &str, statement: &str) -> Result<(), Failure> {
    let connection = sea_orm::Database::connect(url).await?;
    connection.execute_unprepared(statement).await?;
    Ok(connection.close().await?)
}

/// Fills it without its indexes, and makes those at the end.
async fn fill(
    database: &DatabaseConnection,
    workspace: WorkspaceId,
    tickets: i64,
) -> Result<(), Failure> {
    let indexes = indexes(database).await?;
    for (name, _) in &indexes {
        database.execute_unprepared(&format!("DROP INDEX {name}")).await?;
    }
    for statement in statements(workspace.0, tickets) {
        database.execute_unprepared(&statement).await?;
    }
    for (_, definition) in &indexes {
        database.execute_unprepared(definition).await?;
    }
    if database.get_database_backend() == DbBackend::Postgres {
        database.execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(database.close_by_ref().await?)
}

/// The indexes of the tables that are filled, by name and definition.
async fn indexes(database: &DatabaseConnection) -> Result<Vec<(String, String)>, Failure> {
    let find = match database.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT indexname, indexdef FROM pg_indexes \
             WHERE tablename IN ('tickets', 'ticket_tags') AND indexname NOT LIKE '%_pkey'"
        }
        _ => {
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL \
             AND tbl_name IN ('tickets', 'ticket_tags')"
        }
    };
    let find = Statement::from_string(database.get_database_backend(), find);
    let rows = database.query_all_raw(find).await?;
    let index =
        |row: &sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    rows.iter().map(index).collect()
}

fn statements(workspace: i64, tickets: i64) -> Vec<String> {
    let numbers = |last: i64| {
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})"
        )
    };
    // A number below `below` that has nothing to do with others of the same ticket.
    let of = |factor: i64, below: i64| format!("(n * {factor} % 1000003 % {below})");
    let weighted = |factor: i64, weights: &[(i64, i64)]| {
        let mut case = "CASE ".to_owned();
        let mut sum = 0;
        for (value, weight) in weights {
            sum += weight;
            case += &format!("WHEN {} < {sum} THEN {value} ", of(factor, 100));
        }
        case + &format!("ELSE {} END", weights[0].0)
    };
    // Most old tickets are closed; those of the last tenth are in every status.
    let status = format!(
        "CASE WHEN n < {tickets} - {tickets} / 10 AND {} < 90 THEN 5 ELSE {} END",
        of(7919, 100),
        weighted(104_729, &[(1, 30), (2, 20), (3, 10), (4, 20), (5, 15), (6, 5)]),
    );
    let priority = weighted(15_485_863, &[(2, 50), (1, 20), (3, 25), (4, 5)]);
    let kind = weighted(32_452_843, &[(1, 60), (4, 25), (2, 10), (3, 5)]);
    let category = weighted(49_979_687, &[(1, 30), (2, 20), (3, 20), (4, 15), (5, 5), (6, 10)]);
    let assignee = format!(
        "CASE WHEN {} < 10 THEN NULL ELSE 3 + {} END",
        of(67_867_967, 100),
        of(86_028_121, AGENTS)
    );
    let created = format!("({START} + n * {MINUTE_MS})");
    let users = format!(
        "INSERT INTO users (workspace_id, id, display_name, email, email_key, name_key, role, \
           status, facet, created_at, updated_at) \
         {} SELECT {workspace}, n + 2, 'U', 'u' || n, 'u' || n, 'u', 1, 1, 5, 0, 0 FROM numbers",
        numbers(USERS)
    );
    let insert = format!(
        "INSERT INTO tickets (workspace_id, id, title, description, ticket_type, category, \
           priority, status, facet, requester_id, assignee_id, watcher_user_ids, parent_id, tags, \
           due_at, source, external_source, external_id, comment_count, reopen_count, created_at, \
           updated_at, created_by, updated_by, version) \
         {numbers}, drawn (n, kind, category, priority, status, assignee) AS ( \
           SELECT n, {kind}, {category}, {priority}, {status}, {assignee} FROM numbers) \
         SELECT {workspace}, n, 'Ticket ' || n, 'It does not work.', kind, category, priority, \
           status, status * 1024 + priority * 128 + kind * 16 + category * 2 + \
             CASE WHEN assignee IS NULL THEN 1 ELSE 0 END, \
           3 + {requester}, assignee, '[]', \
           CASE WHEN n > 1 AND {parent} = 0 THEN 1 + {of_parent} END, \
           CASE WHEN {tagged} < 20 THEN '[\"tag-' || {tagged} || '\"]' ELSE '[]' END, \
           CASE WHEN {due} < 40 THEN {created} + {due} * 86400000 END, 1, \
           CASE WHEN {source} < 30 THEN 'jira' END, CASE WHEN {source} < 30 THEN 'J-' || n END, \
           0, 0, {created}, {created} + {changed} * {MINUTE_MS}, 2, 2, 1 FROM drawn",
        numbers = numbers(tickets),
        requester = of(15_487_469, USERS),
        parent = of(32_416_190, 100),
        of_parent = of(179_424_673, (tickets / 100).max(1)),
        tagged = of(122_949_823, 20 * 5),
        due = of(141_650_939, 100),
        source = of(160_481_183, 100),
        changed = of(198_491_317, tickets / 40 + 1),
    );
    let tags = "INSERT INTO ticket_tags (workspace_id, ticket_id, tag, ticket_created_at) \
                SELECT workspace_id, id, substr(tags, 3, length(tags) - 4), created_at \
                FROM tickets WHERE tags <> '[]'";
    let counts = [
        "0 AS facet, COUNT(*) FROM tickets GROUP BY workspace_id",
        "facet, COUNT(*) FROM tickets GROUP BY workspace_id, facet",
    ]
    .map(|of| {
        format!(
            "INSERT INTO facet_counts (workspace_id, noun, facet, row_count) \
             SELECT workspace_id, 1, {of}"
        )
    });
    // Each ticket has 45 of 25,000 words, and some have words that so many others have.
    let common: Vec<_> =
        (1..=45).map(|number| format!("'w' || {}", of(104_729 * number, 25_000))).collect();
    let words = format!(
        "INSERT INTO ticket_words (workspace_id, id, words_a, words_b) {} \
         SELECT {workspace}, n, ' all ' || CASE WHEN n % 10 = 0 THEN 'tenth ' ELSE '' END || \
           CASE WHEN n % 100 = 0 THEN 'hundredth ' ELSE '' END || \
           CASE WHEN n <= {tickets} / 50 THEN 'early ' ELSE '' END, ' ' || {} || ' ' FROM numbers",
        numbers(tickets),
        common.join(" || ' ' || "),
    );
    // The log has an event for each ticket, and the counters stand where they would.
    let events = format!(
        "INSERT INTO events (workspace_id, sequence, id, event_type, topics, actor_type, actor_id, \
           actor_name, created_at, data) \
         {} SELECT {workspace}, n, 'evt_' || n, 'ticket.created', '[\"ticket.created\"]', 1, \
           'abcdefgh', 'Portal', {created}, \
           '{{\"object\":{{\"id\":' || n || ',\"title\":\"VPN\"}},\"changedFields\":[],\"previous\":{{}}}}' \
         FROM numbers",
        numbers(tickets)
    );
    let counters = ["events", "tickets"].map(|name| {
        format!(
            "INSERT INTO counters (workspace_id, name, value) VALUES ({workspace}, '{name}', {tickets}) \
             ON CONFLICT (workspace_id, name) DO UPDATE SET value = excluded.value"
        )
    });
    let forgotten = format!("DELETE FROM events WHERE workspace_id = {workspace}");
    let rows = vec![users, insert, tags.to_owned(), words, forgotten, events];
    [rows, counters.to_vec(), counts.to_vec()].concat()
}

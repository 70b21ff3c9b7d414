//! Statements as text with numbered parameters, for what a query builder cannot say or would say
//! anew each time. `$1` is understood by both databases.
//!
//! Values are always bound, never part of the text: equal questions are equal texts, which the
//! connection has prepared already.

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement, Value};

/// The rows of one INSERT: well below the databases' bounds on parameters.
pub(super) const INSERT_ROWS_MAX: usize = 200;

/// The statement `text` with its parameters.
pub(super) fn statement<const N: usize>(
    backend: DbBackend,
    text: impl Into<String>,
    values: [Value; N],
) -> Statement {
    Statement::from_sql_and_values(backend, text, values)
}

/// The parameters that are collected while a statement's text is put together.
#[derive(Debug)]
pub(super) struct Parameters {
    backend: DbBackend,
    values: Vec<Value>,
}

impl Parameters {
    pub(super) fn new(backend: DbBackend) -> Self {
        Self { backend, values: Vec::new() }
    }

    /// Adds a value; the answer is its placeholder, which may stand in the text more than once.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Binds any number of ids as one parameter, and returns `IN (…)`: an array on PostgreSQL;
    /// SQLite has none, and takes them as JSON.
    pub(super) fn bind_in(&mut self, ids: &[i64]) -> String {
        match self.backend {
            DbBackend::Postgres => {
                format!("= ANY({})", self.bind(array(ArrayType::BigInt, ids.to_vec())))
            }
            _ => format!("IN (SELECT value FROM json_each({}))", self.bind(json(ids))),
        }
    }

    /// Binds texts as [`Parameters::bind_in`] binds numbers; `= …` for one alone.
    pub(super) fn bind_in_texts(&mut self, texts: &[String]) -> String {
        match (texts, self.backend) {
            ([text], _) => format!("= {}", self.bind(text.clone())),
            (texts, DbBackend::Postgres) => {
                format!("= ANY({})", self.bind(array(ArrayType::String, texts.to_vec())))
            }
            (texts, _) => {
                let texts = serde_json::to_string(texts).expect("texts always serialize");
                format!("IN (SELECT value FROM json_each({}))", self.bind(texts))
            }
        }
    }

    /// Binds any number of ids, and returns them as the rows of a table with the one column
    /// `value`.
    pub(super) fn bind_rows(&mut self, ids: &[i64]) -> String {
        match self.backend {
            DbBackend::Postgres => format!(
                "unnest({}) AS ids(value)",
                self.bind(array(ArrayType::BigInt, ids.to_vec()))
            ),
            _ => format!("json_each({}) AS ids", self.bind(json(ids))),
        }
    }

    /// The statement `text` with the parameters bound so far.
    pub(super) fn statement(self, text: String) -> Statement {
        Statement::from_sql_and_values(self.backend, text, self.values)
    }
}

/// An array of PostgreSQL.
pub(super) fn array<T: Into<Value>>(of: ArrayType, values: Vec<T>) -> Value {
    Value::Array(of, Some(Box::new(values.into_iter().map(Into::into).collect())))
}

fn json(ids: &[i64]) -> String {
    let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", ids.join(","))
}

//! The processor time of a PostgreSQL server, by its first process.

use crate::linux;

/// The first process of a PostgreSQL server, of which all others are children.
pub struct Postmaster {
    pid: String,
}

impl Postmaster {
    /// The parent of a backend, if that runs on this machine.
    pub fn of(backend: &str) -> Option<Self> {
        let is_postgres = |pid: &str| linux::program(pid).is_ok_and(|name| name == "postgres");
        let pid = linux::parent(backend).ok().filter(|_| is_postgres(backend))?;
        is_postgres(&pid).then_some(Self { pid })
    }

    /// The processor time that the whole server has used, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64, String> {
        linux::family_cpu_seconds(&self.pid)
    }
}

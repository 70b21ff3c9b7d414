//! Generates the probe's API as the main crate's `build.rs` does.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../../proto");

    let mut compiler = protox::Compiler::new(["proto", "../../proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(["probe/v1/library.proto", "probe/streams/v1/tower.proto"])?;

    let descriptors = compiler.encode_file_descriptor_set();
    tonic_prost_build::configure()
        .btree_map(".")
        .out_dir(&out_dir)
        .compile_fds(compiler.file_descriptor_set())?;
    for package in ["probe.v1", "probe.streams.v1"] {
        rest_build::generate(&descriptors, package, &out_dir)?;
    }
    Ok(())
}

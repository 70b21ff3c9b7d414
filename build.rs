//! Compiles the protobuf files: messages, services, the descriptor set, the REST bindings and
//! the OpenAPI document.

use std::error::Error;
use std::path::{Path, PathBuf};

use rest_build::openapi;

const PACKAGE: &str = "orqit.v1";

const INFO: openapi::Info<'_> = openapi::Info {
    title: "Orqit API",
    version: env!("CARGO_PKG_VERSION"),
    description: "The public integration API of an IT service desk: tickets, assets, projects, people and what they know, behind scoped API keys.",
    contact: "Orqit",
    license: "Apache-2.0",
};

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo::rerun-if-changed=proto");

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(proto_files(Path::new("proto/orqit/v1"))?)?;

    // Encoded by protox itself: prost's own types would drop the custom options.
    let descriptors = compiler.encode_file_descriptor_set();
    std::fs::write(out_dir.join("orqit.bin"), &descriptors)?;

    tonic_prost_build::configure()
        .btree_map(".")
        .out_dir(&out_dir)
        .compile_fds(compiler.file_descriptor_set())?;
    rest_build::generate(&descriptors, PACKAGE, &out_dir)?;

    // What the details of a refusal stand on, for server reflection; no file of ours imports it.
    let mut well_known = protox::Compiler::new(["proto"])?;
    well_known.open_files(["google/protobuf/any.proto", "google/protobuf/duration.proto"])?;
    std::fs::write(out_dir.join("well_known.bin"), well_known.encode_file_descriptor_set())?;

    let document = openapi::document(&compiler.descriptor_pool(), &INFO);
    std::fs::write(out_dir.join("openapi.json"), format!("{document:#}\n"))?;
    Ok(())
}

/// The `.proto` files of a folder, by name: the order of the output must not depend on the disk.
fn proto_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let mut files: Vec<_> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    Ok(files)
}

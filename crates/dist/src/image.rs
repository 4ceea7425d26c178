//! The image for containers: an OCI image layout in a tar, made without a daemon.
//!
//! It has one layer with the program, the user that runs it, and an empty `/data`. There is no
//! shell in it and nothing else that a stranger could use.

use crate::archive::{Entry, gzip, tar};
use crate::source::Source;
use crate::sums::sha256;
use serde_json::{Value, json};

/// The user in the image: nobody's number on the host.
const USER: u64 = 65_532;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn layer(program: &[u8], licence: String, notice: String) -> Vec<Entry> {
    let passwd = format!("stead:x:{USER}:{USER}:stead:/data:/\n");
    vec![
        Entry::dir("data", 0o700).owned_by(USER),
        Entry::dir("etc", 0o755),
        Entry::file("etc/group", 0o644, format!("stead:x:{USER}:\n")),
        Entry::file("etc/passwd", 0o644, passwd),
        Entry::file("stead", 0o755, program),
        // Backups, and files that are sent to be checked.
        Entry::dir("tmp", 0o1777),
        Entry::dir("usr", 0o755),
        Entry::dir("usr/share", 0o755),
        Entry::dir("usr/share/doc", 0o755),
        Entry::dir("usr/share/doc/stead", 0o755),
        Entry::file("usr/share/doc/stead/LICENSE", 0o644, licence),
        Entry::file("usr/share/doc/stead/NOTICE", 0o644, notice),
    ]
}

/// What a container is started with where nobody says anything else.
fn config(source: &Source, layer: &str) -> Result<Value, String> {
    let created = source.date()?;
    let start = [
        ["-name", "stead"],
        ["-data-dir", "/data"],
        ["-addr", "127.0.0.1:4001"],
        ["-bind-addr", "0.0.0.0"],
        // Reached from outside, at a port of the host that has the same number.
        ["-v2-addr", "0.0.0.0:2379"],
        ["-advertise-client-urls", "http://127.0.0.1:2379"],
    ]
    .concat();
    let healthy = json!({
        "Test": ["CMD", "/stead", "health", "--local"],
        "Interval": 10_000_000_000_u64,
        "Timeout": 5_000_000_000_u64,
        "StartPeriod": 10_000_000_000_u64,
        "Retries": 3
    });
    Ok(json!({
        "created": created,
        "architecture": source.architecture()?,
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "ExposedPorts": {"4001/tcp": {}, "2379/tcp": {}, "7001/tcp": {}},
            "Entrypoint": ["/stead"],
            "Cmd": start,
            "Volumes": {"/data": {}},
            "WorkingDir": "/data",
            "StopSignal": "SIGTERM",
            "Healthcheck": healthy,
            "Labels": labels(source)
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        "history": [{"created": created, "created_by": "cargo xtask dist"}]
    }))
}

fn labels(source: &Source) -> Value {
    json!({
        "org.opencontainers.image.title": "stead",
        "org.opencontainers.image.description": "A server for the etcd v2 API",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": source.version,
        "org.opencontainers.image.revision": source.commit
    })
}

/// An image, as a tar that `skopeo`, `podman load` and `docker load` take.
///
/// # Errors
/// What is missing, or cannot be packed.
pub(crate) fn image(source: &Source, program: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let layer = layer(program, source.read("LICENSE")?, source.read("NOTICE")?);
    let layer = tar(&layer, source.time, "").map_err(failed)?;
    let packed = gzip(&layer).map_err(failed)?;
    let config = config(source, &sha256(&layer))?.to_string().into_bytes();
    let describe = |media: &str, content: &[u8]| {
        let digest = format!("sha256:{}", sha256(content));
        json!({"mediaType": media, "digest": digest, "size": content.len()})
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(CONFIG, &config),
        "layers": [describe(LAYER, &packed)],
        "annotations": labels(source)
    });
    let manifest = manifest.to_string().into_bytes();
    let mut named = describe(MANIFEST, &manifest);
    let tag = format!("stead:{}", source.version);
    named["annotations"] = json!({
        "org.opencontainers.image.ref.name": source.version,
        "io.containerd.image.name": tag
    });
    let index = json!({"schemaVersion": 2, "manifests": [named]});
    let blob = |content: &[u8]| format!("blobs/sha256/{}", sha256(content));
    // What `docker load` looks for where it knows no layouts.
    let docker = json!([{"Config": blob(&config), "RepoTags": [tag], "Layers": [blob(&packed)]}]);
    let mut blobs: Vec<Entry> = [&config, &packed, &manifest]
        .map(|content| Entry::file(blob(content), 0o644, content.clone()))
        .into();
    blobs.sort_by(|one, other| one.path.cmp(&other.path));
    let mut entries = vec![Entry::dir("blobs", 0o755), Entry::dir("blobs/sha256", 0o755)];
    entries.append(&mut blobs);
    entries.push(Entry::file("index.json", 0o644, index.to_string()));
    entries.push(Entry::file("manifest.json", 0o644, docker.to_string()));
    entries.push(Entry::file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#));
    tar(&entries, source.time, "").map_err(failed)
}

//! What every pod has to be: without rights, bounded, started and stopped with patience.

use serde_json::{Value, json};

use super::shape::{Shape, Workload, at, items, quantity, text};

/// Seconds that a flush gets after requests have drained.
const FLUSH_S: u64 = 10;
/// How long a start may take: reading a log again.
const START_S_MIN: u64 = 300;
/// Memory beside buffer and queries: footers, encoders, the process itself.
const OTHER_MEMORY: u64 = 768 << 20;

fn expect(problems: &mut Vec<String>, who: &str, value: &Value, pointer: &str, wanted: &Value) {
    let found = at(value, pointer);
    if found != wanted {
        problems.push(format!("{who}: {pointer} is {found} in place of {wanted}"));
    }
}

/// The namespace's policy, Pod Security "restricted", and what a careful person adds.
pub(super) fn are_restricted(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in shape.workloads() {
        let (who, spec) = (workload.id(), workload.spec());
        expect(&mut problems, &who, spec, "/automountServiceAccountToken", &json!(false));
        expect(&mut problems, &who, spec, "/enableServiceLinks", &json!(false));
        expect(&mut problems, &who, spec, "/securityContext/runAsNonRoot", &json!(true));
        expect(&mut problems, &who, spec, "/securityContext/seccompProfile/type", &json!("RuntimeDefault"));
        if at(spec, "/securityContext/runAsUser").as_u64().unwrap_or(0) == 0 {
            problems.push(format!("{who}: runs as root"));
        }
        let user = at(spec, "/securityContext/runAsUser");
        expect(&mut problems, &who, spec, "/securityContext/fsGroup", user);
        for key in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            expect(&mut problems, &who, spec, &format!("/{key}"), &Value::Null);
        }
        for container in workload.containers() {
            expect(&mut problems, &who, container, "/securityContext/allowPrivilegeEscalation", &json!(false));
            expect(&mut problems, &who, container, "/securityContext/readOnlyRootFilesystem", &json!(true));
            expect(&mut problems, &who, container, "/securityContext/capabilities", &json!({"drop": ["ALL"]}));
        }
        for volume in items(spec, "/volumes").iter().filter(|volume| at(volume, "/emptyDir/sizeLimit").is_null()) {
            problems.push(format!("{who}: the volume {} has no bound", text(volume, "/name")));
        }
    }
    problems
}

/// Memory is promised as it is limited, processor time is not limited, images are named exactly.
pub(super) fn are_bounded(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in shape.workloads() {
        let who = workload.id();
        for container in workload.containers() {
            let memory = at(container, "/resources/limits/memory");
            expect(&mut problems, &who, container, "/resources/requests/memory", memory);
            expect(&mut problems, &who, container, "/resources/limits/cpu", &Value::Null);
            if memory.is_null() || at(container, "/resources/requests/cpu").is_null() {
                problems.push(format!("{who}: asks for no memory or processor"));
            }
            let image = text(container, "/image");
            let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            let is_exact = if workload.is_ours() { tag == env!("CARGO_PKG_VERSION") } else { tag != "latest" };
            if !is_exact {
                problems.push(format!("{who}: the image {name} has the tag {tag}"));
            }
        }
    }
    problems
}

/// Stopping takes preStop, then the drain, then a flush; starting takes as long as reading a log.
pub(super) fn have_time(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in shape.workloads().into_iter().filter(Workload::is_ours) {
        let who = workload.id();
        let Ok(environment) = workload.environment(shape) else { continue };
        let Some(drain) = environment.get("GIGAPI_DRAIN_TIMEOUT_S").and_then(|text| text.parse::<u64>().ok()) else {
            problems.push(format!("{who}: has no GIGAPI_DRAIN_TIMEOUT_S"));
            continue;
        };
        let container = at(workload.template, "/spec/containers/0");
        let pause = at(container, "/lifecycle/preStop/sleep/seconds").as_u64();
        let grace = at(workload.spec(), "/terminationGracePeriodSeconds").as_u64().unwrap_or(30);
        let needed = pause.unwrap_or(0) + drain + FLUSH_S;
        if grace < needed {
            problems.push(format!("{who}: {grace} s to stop, of which preStop, drain and flush take {needed}"));
        }
        if !workload.is_service() {
            continue;
        }
        if pause.is_none() {
            problems.push(format!("{who}: does not pause before it stops"));
        }
        let probe = |key: &str| at(container, &format!("/startupProbe/{key}")).as_u64().unwrap_or(0);
        if probe("periodSeconds") * probe("failureThreshold") < START_S_MIN {
            problems.push(format!("{who}: is given up before it has started"));
        }
        for (name, path) in [("startup", "/health"), ("liveness", "/health"), ("readiness", "/ready")] {
            let wanted = json!({"path": path, "port": "http"});
            expect(&mut problems, &who, container, &format!("/{name}Probe/httpGet"), &wanted);
        }
    }
    problems
}

/// Ports, folders and sizes are those of the settings.
pub(super) fn fit_their_settings(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in shape.workloads().into_iter().filter(Workload::is_ours) {
        let (who, container) = (workload.id(), at(workload.template, "/spec/containers/0"));
        let environment = match workload.environment(shape) {
            Ok(environment) => environment,
            Err(problem) => {
                problems.push(format!("{who}: {problem}"));
                continue;
            }
        };
        let setting = |name: &str| environment.get(name).map_or("", String::as_str);
        let bytes = |name: &str| quantity(setting(name)).filter(|bytes| *bytes > 1);
        let port = at(container, "/ports/0/containerPort").to_string();
        if workload.is_service() && port != setting("HTTP_PORT") {
            problems.push(format!("{who}: port {port}, but HTTP_PORT is {}", setting("HTTP_PORT")));
        }
        let root = mounted(&workload, setting("GIGAPI_ROOT"));
        match (bytes("GIGAPI_WAL_BYTES_MAX"), root) {
            (_, None) => problems.push(format!("{who}: nothing is mounted at GIGAPI_ROOT")),
            (None, Some(_)) => {}
            (Some(log), Some(name)) => problems.extend(keeps_its_log(&workload, name, log)),
        }
        if let Some(cache) = bytes("GIGAPI_CACHE_BYTES_MAX") {
            let volume = mounted(&workload, setting("GIGAPI_LAYERS_0_URL")).and_then(|name| volume(&workload, name));
            let room = volume.and_then(|volume| quantity(text(volume, "/emptyDir/sizeLimit"))).unwrap_or(0);
            if room < cache + cache / 10 {
                problems.push(format!("{who}: a cache of {cache} bytes in a volume of {room}"));
            }
        }
        let used = ["GIGAPI_BUFFER_BYTES_MAX", "GIGAPI_QUERY_MEMORY"].into_iter().filter_map(bytes).sum::<u64>();
        let memory = quantity(text(container, "/resources/limits/memory")).unwrap_or(0);
        if memory < used + OTHER_MEMORY {
            problems.push(format!("{who}: {memory} bytes of memory, of which the settings use {used}"));
        }
    }
    problems
}

/// The volume mounted at that folder.
fn mounted<'a>(workload: &Workload<'a>, folder: &str) -> Option<&'a str> {
    let mounts = items(workload.template, "/spec/containers/0/volumeMounts");
    Some(text(mounts.iter().find(|mount| text(mount, "/mountPath") == folder)?, "/name"))
}

fn volume<'a>(workload: &Workload<'a>, name: &str) -> Option<&'a Value> {
    items(workload.template, "/spec/volumes").iter().find(|volume| text(volume, "/name") == name)
}

/// A log outlives its pod, and has room.
fn keeps_its_log(workload: &Workload<'_>, name: &str, log: u64) -> Vec<String> {
    let (who, mut problems) = (workload.id(), Vec::new());
    let claims = items(workload.object, "/spec/volumeClaimTemplates");
    let Some(claim) = claims.iter().find(|claim| text(claim, "/metadata/name") == name) else {
        return vec![format!("{who}: its log goes with the pod")];
    };
    let room = quantity(text(claim, "/spec/resources/requests/storage")).unwrap_or(0);
    if room < 2 * log {
        problems.push(format!("{who}: a log of {log} bytes in a volume of {room}"));
    }
    let kept = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    expect(&mut problems, &who, workload.object, "/spec/persistentVolumeClaimRetentionPolicy", &kept);
    problems
}

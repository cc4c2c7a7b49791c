//! What the objects of a shape promise to each other: labels, selectors, doors, secrets.

use serde_json::{Value, json};

use super::shape::{Shape, Workload, at, id, items, selects, text};
use super::tools::{read, yaml};

const LABELS: [&str; 3] = ["name", "part-of", "managed-by"];
const WORKLOAD_LABELS: [&str; 3] = ["component", "version", "instance"];

/// The labels that tools look for.
pub(super) fn labels_are_complete(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    let mut look = |who: &str, labels: &Value, wanted: &[&str]| {
        for name in wanted.iter().filter(|name| labels.get(format!("app.kubernetes.io/{name}")).is_none()) {
            problems.push(format!("{who}: has no label {name}"));
        }
    };
    for object in shape.objects.iter().filter(|object| text(object, "/kind") != "ConfigMap") {
        look(&id(object), at(object, "/metadata/labels"), &LABELS);
    }
    for workload in shape.workloads() {
        let who = workload.id();
        for labels in [at(workload.object, "/metadata/labels"), at(workload.template, "/metadata/labels")] {
            look(&who, labels, &LABELS);
            look(&who, labels, &WORKLOAD_LABELS);
        }
    }
    let version = |workload: &Workload<'_>| {
        text(workload.template, "/metadata/labels/app.kubernetes.io~1version") == env!("CARGO_PKG_VERSION")
    };
    let wrong = shape.workloads().into_iter().filter(|each| each.is_ours() && !version(each));
    problems.extend(wrong.map(|workload| format!("{}: is labelled with another version", workload.id())));
    problems
}

/// Whatever selects pods finds some, under the port that it names.
pub(super) fn selectors_find_pods(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    for service in shape.kind("Service") {
        let pods = shape.selected(at(service, "/spec/selector"));
        let names = |port: &str| {
            let ports = |pod: &Workload<'_>| items(pod.template, "/spec/containers/0/ports").to_vec();
            pods.iter().all(|pod| ports(pod).iter().any(|each| text(each, "/name") == port))
        };
        let ports_fit = items(service, "/spec/ports").iter().all(|port| names(text(port, "/targetPort")));
        if pods.len() != 1 || !ports_fit {
            problems.push(format!("{}: does not lead to one kind of pods and their port", id(service)));
        }
    }
    for workload in shape.workloads().into_iter().filter(Workload::is_service) {
        let selector = at(workload.object, "/spec/selector/matchLabels");
        if shape.selected(selector).len() != 1 || !selects(selector, at(workload.template, "/metadata/labels")) {
            problems.push(format!("{}: does not select its own pods alone", workload.id()));
        }
        let service = text(workload.object, "/spec/serviceName");
        let is_there = shape.kind("Service").any(|each| text(each, "/metadata/name") == service);
        if text(workload.object, "/kind") == "StatefulSet" && !is_there {
            problems.push(format!("{}: has no service {service}", workload.id()));
        }
    }
    for monitor in shape.kind("ServiceMonitor") {
        let selector = at(monitor, "/spec/selector/matchLabels");
        let scraped = shape.kind("Service").filter(|each| selects(selector, at(each, "/metadata/labels")));
        let mut pods: Vec<_> = scraped.flat_map(|each| shape.selected(at(each, "/spec/selector"))).collect();
        pods.sort_by_key(Workload::id);
        let scraped: Vec<_> = pods.iter().map(Workload::id).collect();
        let ours = shape.workloads().into_iter().filter(|each| each.is_ours() && each.is_service());
        let mut wanted: Vec<_> = ours.map(|each| each.id()).collect();
        wanted.sort();
        if scraped != wanted {
            problems.push(format!("{}: scrapes {scraped:?} in place of {wanted:?}", id(monitor)));
        }
    }
    problems
}

/// Autoscalers own the number of their pods, and a budget never forbids the last eviction.
pub(super) fn numbers_agree(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    let scaler_of = |workload: &Workload<'_>| {
        let target = format!("{}/{}", text(workload.object, "/kind"), text(workload.object, "/metadata/name"));
        let id_of = |scaler: &Value| {
            let target = at(scaler, "/spec/scaleTargetRef");
            format!("{}/{}", text(target, "/kind"), text(target, "/name"))
        };
        shape.kind("HorizontalPodAutoscaler").find(|scaler| id_of(scaler) == target)
    };
    let mut scaled = 0;
    for workload in shape.workloads().into_iter().filter(Workload::is_service) {
        scaled += usize::from(scaler_of(&workload).is_some());
        if scaler_of(&workload).is_some() != at(workload.object, "/spec/replicas").is_null() {
            problems.push(format!("{}: replicas and an autoscaler, or neither", workload.id()));
        }
    }
    if scaled != shape.kind("HorizontalPodAutoscaler").count() {
        problems.push("an autoscaler has no target".to_owned());
    }
    for budget in shape.kind("PodDisruptionBudget") {
        let pods = shape.selected(at(budget, "/spec/selector/matchLabels"));
        let least = |workload: &Workload<'_>| match scaler_of(workload) {
            Some(scaler) => at(scaler, "/spec/minReplicas").as_u64().unwrap_or(1),
            None => at(workload.object, "/spec/replicas").as_u64().unwrap_or(1),
        };
        let one_may_go = at(budget, "/spec/maxUnavailable") == &json!(1);
        if !one_may_go || pods.len() != 1 || pods.iter().any(|pod| least(pod) < 2) {
            problems.push(format!("{}: is not a budget of one out of several", id(budget)));
        }
    }
    problems
}

/// Everything is closed, then opened where somebody needs it.
pub(super) fn doors_are_closed(shape: &Shape) -> Vec<String> {
    let mut problems = Vec::new();
    let is_default =
        |policy: &&Value| at(policy, "/spec") == &json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    if shape.kind("NetworkPolicy").find(is_default).is_none() {
        problems.push("nothing closes the doors that nobody opened".to_owned());
    }
    let dns = |policy: &Value| {
        at(policy, "/spec/podSelector") == &json!({})
            && items(policy, "/spec/egress/0/ports").contains(&json!({"port": 53, "protocol": "UDP"}))
    };
    if !shape.kind("NetworkPolicy").any(dns) {
        problems.push("nobody may look names up".to_owned());
    }
    let opens = |workload: &Workload<'_>, list: &str, port: &Value| {
        let covers = |policy: &&Value| {
            selects(at(policy, "/spec/podSelector/matchLabels"), at(workload.template, "/metadata/labels"))
        };
        let has_port = |rule: &Value| items(rule, "/ports").iter().any(|each| at(each, "/port") == port);
        shape.kind("NetworkPolicy").filter(covers).any(|policy| items(policy, list).iter().any(has_port))
    };
    for workload in shape.workloads() {
        let port = at(workload.template, "/spec/containers/0/ports/0/name");
        if workload.is_service() && !opens(&workload, "/spec/ingress", port) {
            problems.push(format!("{}: nobody reaches its port", workload.id()));
        }
        let Ok(environment) = workload.environment(shape) else { continue };
        let needs_redis = environment.contains_key("GIGAPI_METADATA_URL");
        if needs_redis && !opens(&workload, "/spec/egress", &json!(6379)) {
            problems.push(format!("{}: does not reach the catalog", workload.id()));
        }
        let needs_s3 = environment.get("GIGAPI_LAYERS_1_TYPE").is_some_and(|kind| kind == "s3");
        if needs_s3 && !opens(&workload, "/spec/egress", &json!(443)) {
            problems.push(format!("{}: does not reach S3", workload.id()));
        }
    }
    problems
}

fn is_secret(name: &str) -> bool {
    ["SECRET", "PASSWORD", "TOKEN", "AUTH_KEY", "METADATA_URL", "REDISCLI_AUTH"].iter().any(|part| name.contains(part))
}

/// Secrets are named, never held; and the names are those of the example and of the documents.
pub(super) fn secrets_are_references(shape: &Shape) -> Vec<String> {
    let mut problems: Vec<String> = shape.kind("Secret").map(|secret| format!("{}: is a secret", id(secret))).collect();
    for map in shape.kind("ConfigMap") {
        let names = at(map, "/data").as_object().into_iter().flat_map(|data| data.keys());
        problems.extend(names.filter(|name| is_secret(name)).map(|name| format!("{}: holds {name}", id(map))));
    }
    let (examples, documents) = (yaml(&read("deploy/kustomize/secrets.example.yaml")), read("deploy/README.md"));
    for workload in shape.workloads() {
        let who = workload.id();
        for variable in workload.containers().iter().flat_map(|container| items(container, "/env")) {
            let name = text(variable, "/name");
            let reference = at(variable, "/valueFrom/secretKeyRef");
            if is_secret(name) && reference.is_null() {
                problems.push(format!("{who}: {name} is not a reference to a secret"));
            }
            if reference.is_null() {
                continue;
            }
            let (secret, key) = (text(reference, "/name"), text(reference, "/key"));
            let example = examples.iter().find(|example| text(example, "/metadata/name") == secret);
            let is_known = example.is_some_and(|example| at(example, "/stringData").get(key).is_some())
                && documents.contains(&format!("`{secret}`"))
                && documents.contains(&format!("`{key}`"));
            if !is_known {
                problems.push(format!("{who}: the secret {secret} with the key {key} is documented nowhere"));
            }
        }
        let names = items(workload.template, "/spec/containers/0/env").iter().map(|variable| text(variable, "/name"));
        if workload.is_ours() && !names.into_iter().any(|name| name == "GIGAPI_SECRET") {
            problems.push(format!("{who}: is open to everybody"));
        }
    }
    problems
}

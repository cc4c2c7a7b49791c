//! Rendered manifests, and what is asked of them again and again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tools::yaml;

/// The objects of one way to deploy.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) objects: Vec<Value>,
}

/// An object that makes pods.
#[derive(Clone, Copy)]
pub(super) struct Workload<'a> {
    pub(super) object: &'a Value,
    pub(super) template: &'a Value,
}

/// The value there, or null.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The text there, or nothing.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// The items there, or none.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// Kind and name.
pub(super) fn id(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"))
}

/// Whether labels carry all that a selector wants; a selector that wants nothing selects nothing here.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(wanted) = selector.as_object().filter(|wanted| !wanted.is_empty()) else { return false };
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Bytes, or a number without unit, in Kubernetes' notation, in Redis' or in ours.
pub(super) fn quantity(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match &text[digits..] {
        "" => 1,
        "Ki" | "KiB" | "kb" => 1 << 10,
        "Mi" | "MiB" | "mb" => 1 << 20,
        "Gi" | "GiB" | "gb" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

impl Shape {
    /// Reads what kustomize made.
    pub(super) fn read(manifests: &str) -> Self {
        Self { objects: yaml(manifests) }
    }

    pub(super) fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| text(object, "/kind") == kind)
    }

    pub(super) fn workloads(&self) -> Vec<Workload<'_>> {
        let template = |object: &'_ Value| match text(object, "/kind") {
            "Deployment" | "StatefulSet" => Some("/spec/template"),
            "CronJob" => Some("/spec/jobTemplate/spec/template"),
            _ => None,
        };
        let workload = |object| Some(Workload { object, template: at(object, template(object)?) });
        self.objects.iter().filter_map(workload).collect()
    }

    /// The pods that a label selector takes.
    pub(super) fn selected(&self, selector: &Value) -> Vec<Workload<'_>> {
        self.workloads().into_iter().filter(|each| selects(selector, at(each.template, "/metadata/labels"))).collect()
    }
}

impl Workload<'_> {
    pub(super) fn id(&self) -> String {
        id(self.object)
    }

    /// Whether our binaries run in it.
    pub(super) fn is_ours(&self) -> bool {
        text(self.template, "/metadata/labels/app.kubernetes.io~1name") == "gigapi"
    }

    /// Whether it runs until it is stopped.
    pub(super) fn is_service(&self) -> bool {
        text(self.object, "/kind") != "CronJob"
    }

    pub(super) fn spec(&self) -> &Value {
        at(self.template, "/spec")
    }

    pub(super) fn containers(&self) -> &[Value] {
        items(self.template, "/spec/containers")
    }

    /// The environment of the first container; what comes from a secret or a field is `word` or an address.
    pub(super) fn environment(&self, shape: &Shape) -> Result<BTreeMap<String, String>, String> {
        let mut all = BTreeMap::new();
        let Some(container) = self.containers().first() else { return Err("has no container".to_owned()) };
        for source in items(container, "/envFrom") {
            let name = text(source, "/configMapRef/name");
            let map = shape.kind("ConfigMap").find(|map| text(map, "/metadata/name") == name);
            let data = map.and_then(|map| at(map, "/data").as_object());
            let data = data.ok_or_else(|| format!("takes its settings from {name}, which is not there"))?;
            all.extend(data.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())));
        }
        for variable in items(container, "/env") {
            let value = match (at(variable, "/value").as_str(), text(variable, "/valueFrom/secretKeyRef/key")) {
                (Some(value), _) => value,
                (None, "url") => "redis://:word@gigapi-redis:6379/0",
                (None, _) => "word",
            };
            all.insert(text(variable, "/name").to_owned(), value.to_owned());
        }
        Ok(all)
    }
}

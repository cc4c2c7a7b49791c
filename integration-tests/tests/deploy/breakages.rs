//! Promises, each broken once: the proof that the checks can fail.

use serde_json::Value;

use super::shape::{Shape, id};

const WRITER: &str = "StatefulSet/gigapi-writer";
const QUERIER: &str = "Deployment/gigapi-querier";
const REDIS: &str = "StatefulSet/gigapi-redis";
const SCALER: &str = "HorizontalPodAutoscaler/gigapi-querier";
const BUDGET: &str = "PodDisruptionBudget/gigapi-writer";

/// The object, the place in it (`POD` and `BOX` stand for the pod's specification and its container), the new
/// value in JSON (empty removes what is there), and a part of the complaint.
pub(super) const BREAKAGES: &[(&str, &str, &str, &str)] = &[
    // Without rights.
    (WRITER, "POD/securityContext/runAsUser", "0", "runs as root"),
    (WRITER, "POD/securityContext/runAsNonRoot", "", "runAsNonRoot"),
    (WRITER, "POD/securityContext/fsGroup", "1", "fsGroup"),
    (WRITER, "POD/securityContext/seccompProfile", "", "seccompProfile"),
    (WRITER, "POD/enableServiceLinks", "", "enableServiceLinks"),
    (WRITER, "POD/hostNetwork", "true", "hostNetwork"),
    (REDIS, "POD/automountServiceAccountToken", "", "automount"),
    (REDIS, "BOX/securityContext/capabilities", "", "capabilities"),
    (QUERIER, "BOX/securityContext/allowPrivilegeEscalation", "true", "allowPrivilegeEscalation"),
    (QUERIER, "BOX/securityContext/readOnlyRootFilesystem", "", "readOnlyRootFilesystem"),
    (QUERIER, "POD/volumes/0/emptyDir", "{}", "has no bound"),
    // Bounded.
    (QUERIER, "BOX/resources/requests/memory", "\"1Gi\"", "requests/memory"),
    (QUERIER, "BOX/resources/limits/cpu", "\"1\"", "limits/cpu"),
    (QUERIER, "BOX/resources/requests/cpu", "", "asks for no"),
    (WRITER, "BOX/image", "\"gigapi\"", "has the tag latest"),
    (REDIS, "BOX/image", "\"redis:latest\"", "has the tag latest"),
    // Started and stopped.
    (WRITER, "POD/terminationGracePeriodSeconds", "44", "s to stop"),
    (WRITER, "BOX/lifecycle", "", "does not pause"),
    (WRITER, "BOX/startupProbe/failureThreshold", "9", "is given up"),
    (QUERIER, "BOX/readinessProbe/httpGet/path", "\"/health\"", "readinessProbe"),
    (QUERIER, "BOX/livenessProbe/httpGet/path", "\"/ready\"", "livenessProbe"),
    // Ports, folders, sizes.
    (QUERIER, "BOX/ports/0/containerPort", "7971", "HTTP_PORT is 7972"),
    (QUERIER, "POD/volumes/1/emptyDir/sizeLimit", "\"8Gi\"", "a cache of"),
    (QUERIER, "BOX/volumeMounts/1/mountPath", "\"/elsewhere\"", "a cache of"),
    (WRITER, "BOX/volumeMounts/0/mountPath", "\"/elsewhere\"", "nothing is mounted"),
    (WRITER, "/spec/volumeClaimTemplates/0/metadata/name", "\"other\"", "goes with the pod"),
    (WRITER, "/spec/volumeClaimTemplates/0/spec/resources/requests/storage", "\"5Gi\"", "a log of"),
    (WRITER, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled", "\"Delete\"", "RetentionPolicy"),
    (QUERIER, "BOX/resources/limits/memory", "\"2Gi\"", "the settings use"),
    (WRITER, "BOX/envFrom/0/configMapRef/name", "\"other\"", "which is not there"),
    (WRITER, "BOX/envFrom/1", "", "has no GIGAPI_DRAIN_TIMEOUT_S"),
    // Labels and selectors.
    (WRITER, "/metadata/labels/app.kubernetes.io~1part-of", "", "no label part-of"),
    (WRITER, "/spec/template/metadata/labels/app.kubernetes.io~1version", "\"9\"", "another version"),
    ("Service/gigapi-writer", "/spec/selector/app.kubernetes.io~1component", "", "one kind of pods"),
    ("Service/gigapi-writer", "/spec/ports/0/targetPort", "\"other\"", "one kind of pods"),
    (WRITER, "/spec/selector/matchLabels/app.kubernetes.io~1component", "", "its own pods alone"),
    (WRITER, "/spec/serviceName", "\"other\"", "has no service other"),
    ("Service/gigapi-writer", "/metadata/labels/gigapi~1metrics", "\"true\"", "scrapes"),
    ("Service/gigapi-querier", "/metadata/labels/gigapi~1metrics", "", "scrapes"),
    // Numbers.
    (QUERIER, "/spec/replicas", "2", "replicas and an autoscaler"),
    (SCALER, "/spec/scaleTargetRef/name", "\"other\"", "has no target"),
    (SCALER, "/spec/minReplicas", "1", "one out of several"),
    (BUDGET, "/spec/maxUnavailable", "0", "one out of several"),
    (WRITER, "/spec/replicas", "1", "one out of several"),
    // Doors.
    ("NetworkPolicy/default-deny", "/spec/policyTypes", "[\"Ingress\"]", "closes the doors"),
    ("NetworkPolicy/allow-dns", "/spec/egress", "", "look names up"),
    ("NetworkPolicy/gigapi-http", "/spec/ingress", "", "nobody reaches its port"),
    ("NetworkPolicy/gigapi-to-redis", "/spec/egress", "", "does not reach the catalog"),
    ("NetworkPolicy/gigapi-to-s3", "/spec/egress/0/ports/0/port", "80", "does not reach S3"),
    // Secrets.
    (WRITER, "BOX/env/1/valueFrom", "", "not a reference to a secret"),
    (WRITER, "BOX/env/1/valueFrom/secretKeyRef/key", "\"other\"", "documented nowhere"),
    (WRITER, "BOX/env/1/name", "\"OTHER\"", "is open to everybody"),
    ("ServiceAccount/gigapi", "/kind", "\"Secret\"", "is a secret"),
];

/// The shape with one thing broken.
pub(super) fn broken(shape: &Shape, object: &str, place: &str, value: &str) -> Shape {
    let place = place.replace("POD", "/spec/template/spec").replace("BOX", "/spec/template/spec/containers/0");
    let mut shape = shape.clone();
    let object = shape.objects.iter_mut().find(|each| id(each) == object).unwrap_or_else(|| panic!("no {object}"));
    let (parent, key) = place.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    match (parent, value) {
        (Value::Object(parent), "") => drop(parent.remove(&key).unwrap_or_else(|| panic!("nothing at {place}"))),
        (Value::Object(parent), value) => drop(parent.insert(key, serde_json::from_str(value).unwrap())),
        (Value::Array(parent), "") => drop(parent.remove(key.parse().unwrap())),
        (other, _) => panic!("{other} at {place}"),
    }
    shape
}

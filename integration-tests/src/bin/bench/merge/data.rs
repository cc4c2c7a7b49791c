//! Rows of the TSBS cpu-only shape as a writer has them: sorted by host and time.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use gigapi_model::{ColumnName, ColumnRole, ColumnType, NewColumn};

/// Ten tags and ten integers, as TSBS's cpu-only data has them.
pub(super) fn columns() -> Result<Vec<NewColumn>> {
    let tags = [
        "hostname",
        "region",
        "datacenter",
        "rack",
        "os",
        "arch",
        "team",
        "service",
        "service_version",
        "service_environment",
    ];
    let fields = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let tags = tags.iter().map(|name| ((*name).to_owned(), ColumnRole::Tag, ColumnType::String));
    let fields = fields.iter().map(|name| (format!("usage_{name}"), ColumnRole::Field, ColumnType::Integer));
    let column = |(name, role, column_type): (String, ColumnRole, ColumnType)| {
        Ok(NewColumn { name: ColumnName::new(&name)?, column_type, role })
    };
    tags.chain(fields).map(column).collect()
}

fn tag(number: usize, host: usize) -> String {
    let regions = ["us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "sa-east-1"];
    match number {
        0 => format!("host_{host}"),
        1 => regions[host % 7].to_owned(),
        2 => format!("{}{}", regions[host % 7], ["a", "b", "c"][host % 3]),
        3 => (host % 100).to_string(),
        4 => "Ubuntu16.04LTS".to_owned(),
        5 => "x64".to_owned(),
        6 => "SF".to_owned(),
        7 => (host % 20).to_string(),
        8 => "1".to_owned(),
        _ => "production".to_owned(),
    }
}

/// Walks of all hosts' fields, one step per row.
pub(super) struct Walks {
    values: Vec<[i64; 10]>,
    random: fastrand::Rng,
    /// Hosts in the order of their names.
    order: Vec<usize>,
}

impl Walks {
    pub(super) fn new(hosts: usize) -> Self {
        let mut order: Vec<usize> = (0..hosts).collect();
        order.sort_by_key(|host| tag(0, *host));
        Self { values: vec![[50; 10]; hosts], random: fastrand::Rng::with_seed(42), order }
    }

    /// Rows of all hosts at these times, sorted by host and time.
    pub(super) fn batch(&mut self, times: &[i64]) -> Result<RecordBatch> {
        let mut fields: Vec<Vec<i64>> = vec![Vec::new(); 10];
        for &host in &self.order {
            for _ in times {
                for (value, column) in self.values[host].iter_mut().zip(&mut fields) {
                    *value = (*value + self.random.i64(-1..=1)).clamp(0, 100);
                    column.push(*value);
                }
            }
        }
        let time: Int64Array = self.order.iter().flat_map(|_| times.iter().copied()).collect();
        let mut made: Vec<(String, ArrayRef)> = vec![("time".to_owned(), Arc::new(time))];
        let all = columns()?;
        for (number, column) in all.iter().take(10).enumerate() {
            let values: StringArray = self.order.iter().map(|host| Some(tag(number, *host))).collect();
            let keys: Int32Array =
                (0..self.order.len()).flat_map(|host| times.iter().map(move |_| Some(host as i32))).collect();
            let tags = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?;
            made.push((column.name.to_string(), Arc::new(tags)));
        }
        let names = all.iter().skip(10).map(|column| column.name.to_string());
        made.extend(names.zip(fields).map(|(name, values)| (name, Arc::new(Int64Array::from(values)) as ArrayRef)));
        Ok(RecordBatch::try_from_iter_with_nullable(made.into_iter().map(|(name, array)| {
            let nullable = name != "time";
            (name, array, nullable)
        }))?)
    }
}

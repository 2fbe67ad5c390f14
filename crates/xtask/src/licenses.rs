//! Licenses of everything that the workspace is built with.

use serde_json::Value;

use crate::Finding;

/// Licenses that allow what we do with the code, alone or as one of several to choose from.
const ALLOWED: [&str; 13] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
];

/// Findings about all packages.
pub(crate) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().expect("metadata has packages");
    let name = |package: &Value| {
        format!("{} {}", package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"))
    };
    let judge = |package: &Value| match package["license"].as_str() {
        None => Some(format!("{} does not say what license it has", name(package))),
        Some(license) if allowed(license) => None,
        Some(license) => {
            Some(format!("{} has the license {license}, which is not on the list", name(package)))
        }
    };
    packages.iter().filter_map(judge).collect()
}

/// Whether an SPDX expression can be fulfilled: one of its alternatives has only allowed parts. The slash is the
/// old way to write `OR`.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let alternative = |text: &str| text.split(" AND ").all(|license| ALLOWED.contains(&license.trim()));
    expression.split(" OR ").any(alternative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_alternative_is_enough() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "", "Proprietary"] {
            assert!(!allowed(bad), "{bad}");
        }
    }
}

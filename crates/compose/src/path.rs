//! Paths, as texts: nothing here looks at the disk.

use std::path::{Component, Path, PathBuf};

/// `path` as seen from `directory`, without `.` and `..` where they can be told apart from links.
///
/// `a/../b` becomes `b`, as Docker has it.
pub(crate) fn resolve(directory: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in directory.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(resolved.components().next_back(), Some(Component::Normal(_))) =>
            {
                resolved.pop();
            }
            Component::ParentDir if resolved.has_root() => {}
            part => resolved.push(part),
        }
    }
    resolved
}

/// A path as messages have it: from the working directory on, where it is in that.
pub(crate) fn shown(working_directory: &Path, path: &Path) -> String {
    path.strip_prefix(working_directory).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_taken_out() {
        for (directory, path, becomes) in [
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "./c/./d", "/a/b/c/d"),
            ("/a/b", "../c", "/a/c"),
            ("/a/b", "../../../c", "/c"),
            ("/a/b", "/c/../d", "/d"),
            ("a", "../../b", "../b"),
        ] {
            assert_eq!(resolve(Path::new(directory), path), Path::new(becomes), "{directory} {path}");
        }
    }
}

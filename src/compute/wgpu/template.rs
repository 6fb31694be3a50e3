//! Turns a file of `shaders/` into the WGSL of one kernel with its constants filled in.
//!
//! The files stay readable WGSL with a few directives in comments, because sums that live in
//! registers must have names of their own: drivers keep indexed arrays in memory.
//!
//! | line | meaning |
//! |---|---|
//! | `//#kernel NAME` | what follows belongs to this kernel; what precedes the first is shared |
//! | `//#unroll i N` .. `//#end` | repeats with `$i` = 0 .. N - 1; N is a number or a constant |
//! | `//#each b x y` .. `//#end` | repeats with `$b` = x, then y |
//! | `//#if C` .. `//#else` .. `//#end` | keeps one part, by whether constant C is `true` |
//! | `$NAME`, `$i` | the constant's or the loop's value |

/// A template that cannot be expanded: a fault of the program, found by the unit tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// No such kernel in the file.
    #[error("no section for the kernel {0}")]
    NoKernel(String),
    /// A name without a value.
    #[error("{0} has no value")]
    NoValue(String),
    /// Directives do not match up.
    #[error("unbalanced directives at `{0}`")]
    Unbalanced(String),
}

/// Names and values, innermost last.
type Names = Vec<(String, String)>;

/// The WGSL of `kernel`: every shared head of `sources`, then its section.
pub(super) fn expand(
    sources: &[&str],
    kernel: &str,
    constants: &[(&'static str, String)],
) -> Result<String, TemplateError> {
    let mut lines = Vec::new();
    let mut found = false;
    for source in sources {
        let mut inside = true;
        for line in source.lines() {
            let text = line.trim();
            if let Some(name) = text.strip_prefix("//#kernel ") {
                inside = name == kernel;
                found |= inside;
            } else if inside && (!text.starts_with("//") || text.starts_with("//#")) {
                lines.push(line);
            }
        }
    }
    if !found {
        return Err(TemplateError::NoKernel(kernel.to_owned()));
    }
    let mut names: Names = constants.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    let mut out = String::new();
    block(&lines, &mut names, &mut out)?;
    Ok(out)
}

fn block(lines: &[&str], names: &mut Names, out: &mut String) -> Result<(), TemplateError> {
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some(directive) = line.trim().strip_prefix("//#") else {
            substitute(line, names, out)?;
            out.push('\n');
            at += 1;
            continue;
        };
        let (middle, end) = extent(lines, at)?;
        let body = &lines[at + 1..middle.unwrap_or(end)];
        let mut words = directive.split_whitespace();
        match (words.next(), words.next()) {
            (Some("if"), Some(name)) => {
                if value(names, name)? == "true" {
                    block(body, names, out)?;
                } else if let Some(middle) = middle {
                    block(&lines[middle + 1..end], names, out)?;
                }
            }
            (Some("unroll"), Some(variable)) => {
                let count = words.next().unwrap_or_default();
                let count = match count.parse::<usize>() {
                    Ok(count) => count,
                    Err(_) => value(names, count)?
                        .parse()
                        .map_err(|_| TemplateError::NoValue(count.to_owned()))?,
                };
                let values = (0..count).map(|i| i.to_string());
                repeat(body, variable, values, names, out)?;
            }
            (Some("each"), Some(variable)) => {
                repeat(body, variable, words.map(str::to_owned), names, out)?;
            }
            _ => return Err(TemplateError::Unbalanced((*line).to_owned())),
        }
        at = end + 1;
    }
    Ok(())
}

fn repeat(
    body: &[&str],
    variable: &str,
    values: impl Iterator<Item = String>,
    names: &mut Names,
    out: &mut String,
) -> Result<(), TemplateError> {
    for value in values {
        names.push((variable.to_owned(), value));
        let result = block(body, names, out);
        names.pop();
        result?;
    }
    Ok(())
}

/// Positions of the `//#else` (if any) and `//#end` that belong to the directive at `from`.
fn extent(lines: &[&str], from: usize) -> Result<(Option<usize>, usize), TemplateError> {
    let mut depth = 0usize;
    let mut middle = None;
    for (i, line) in lines.iter().enumerate().skip(from) {
        let Some(directive) = line.trim().strip_prefix("//#") else { continue };
        match directive.split_whitespace().next() {
            Some("end") => {
                depth = depth.saturating_sub(1);
                if depth == 0 && i > from {
                    return Ok((middle, i));
                }
            }
            Some("else") if depth == 1 => middle = Some(i),
            Some("else") => {}
            _ => depth += 1,
        }
    }
    Err(TemplateError::Unbalanced(lines[from].to_owned()))
}

fn value<'a>(names: &'a Names, name: &str) -> Result<&'a str, TemplateError> {
    let found = names.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    found.ok_or_else(|| TemplateError::NoValue(name.to_owned()))
}

/// `$` and an upper-case name (letters, digits), or `$` and one lower-case letter.
fn substitute(line: &str, names: &Names, out: &mut String) -> Result<(), TemplateError> {
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = if rest.starts_with(|c: char| c.is_ascii_lowercase()) {
            1
        } else {
            rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit())
                .unwrap_or(rest.len())
        };
        out.push_str(value(names, &rest[..end])?);
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "// words with $NOTHING\nshared $N\n//#kernel one\n//#unroll i 2\n\
        //#each b x y\nlet $b$i_$N = $iu;\n//#end\n//#end\n//#kernel two\n//#if BIG\nbig\n\
        //#else\n//#unroll s N\nsmall $s\n//#end\n//#end\n";

    fn run(kernel: &str, big: bool) -> Result<String, TemplateError> {
        expand(&[SOURCE], kernel, &[("N", "3".to_owned()), ("BIG", big.to_string())])
    }

    #[test]
    fn loops_nest_and_other_kernels_stay_out() {
        assert_eq!(
            run("one", true).unwrap(),
            "shared 3\nlet x0_3 = 0u;\nlet y0_3 = 0u;\nlet x1_3 = 1u;\nlet y1_3 = 1u;\n"
        );
    }

    #[test]
    fn conditions_keep_one_part() {
        assert_eq!(run("two", true).unwrap(), "shared 3\nbig\n");
        assert_eq!(run("two", false).unwrap(), "shared 3\nsmall 0\nsmall 1\nsmall 2\n");
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(run("three", true), Err(TemplateError::NoKernel("three".to_owned())));
        let open = expand(&["//#kernel a\n//#unroll i 2\n"], "a", &[]);
        assert!(matches!(open, Err(TemplateError::Unbalanced(_))));
        let unknown = expand(&["//#kernel a\n$WHAT\n"], "a", &[]);
        assert_eq!(unknown, Err(TemplateError::NoValue("WHAT".to_owned())));
    }
}

//! The few pickle instructions that describe one tensor, interpreted as data. Nothing is imported
//! and nothing is called: a `GLOBAL` is one of the few names that tensors need, a `REDUCE` one of the
//! two known calls, and anything else ends the reading. Texts are borrowed from the file, so that
//! copies of copies cost next to nothing.

use super::{MAX_DIMS, TorchError};

/// Longest description that is read, in bytes; a real one has about 160.
const MAX_LEN: usize = 16 * 1024;
/// Most values on the stack, in the memo, and inside one value: nothing real comes near it, and it
/// keeps copies of copies from growing.
const MAX_VALUES: usize = 128;

/// A tensor as its pickle describes it; not yet checked against its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description<'a> {
    /// Name of the storage's type, e.g. `BFloat16Storage`.
    pub storage_type: &'a str,
    /// Name of the storage's file below `data/`.
    pub key: &'a str,
    /// Numbers in the storage.
    pub storage_len: u64,
    /// First number of the tensor in the storage.
    pub offset: u64,
    /// Size of each dimension.
    pub shape: Vec<u64>,
    /// Numbers between neighbours of each dimension.
    pub strides: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Value<'a> {
    Int(u64),
    Bool,
    Text(&'a str),
    Tuple(Vec<Value<'a>>),
    Global(Global<'a>),
    Storage(Storage<'a>),
    OrderedDict,
    Tensor(Box<Description<'a>>),
}

/// The names that a tensor's description uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global<'a> {
    /// `collections.OrderedDict`: no hooks.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch.<type>Storage`.
    StorageType(&'a str),
}

#[derive(Clone, Copy, Debug)]
struct Storage<'a> {
    kind: &'a str,
    key: &'a str,
    len: u64,
}

impl Value<'_> {
    /// Values inside, this one included.
    fn count(&self) -> usize {
        match self {
            Value::Tuple(items) => 1 + items.iter().map(Value::count).sum::<usize>(),
            _ => 1,
        }
    }
}

enum Slot<'a> {
    Value(Value<'a>),
    Mark,
}

/// Reads the description of the one tensor that `pickle` builds.
pub(super) fn describe(pickle: &[u8]) -> Result<Description<'_>, TorchError> {
    if pickle.len() > MAX_LEN {
        return Err(TorchError::Pickle("its description is too long"));
    }
    let mut machine = Machine { rest: pickle, stack: Vec::new(), memo: Vec::new() };
    match machine.run()? {
        Value::Tensor(tensor) => Ok(*tensor),
        _ => Err(TorchError::Pickle("it holds something else")),
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Slot<'a>>,
    /// Sorted by nothing: at most [`MAX_VALUES`] entries, looked up by number.
    memo: Vec<(u32, Value<'a>)>,
}

const ENDS: TorchError = TorchError::Pickle("its description ends early");
const ORDER: TorchError = TorchError::Pickle("its description makes no sense");

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, TorchError> {
        loop {
            let [op] = self.take()?;
            if op == b'.' {
                let built = self.pop()?;
                let alone = self.stack.is_empty() && self.rest.is_empty();
                return if alone { Ok(built) } else { Err(ORDER) };
            }
            self.step(op)?;
            if self.stack.len() > MAX_VALUES || self.memo.len() > MAX_VALUES {
                return Err(TorchError::Pickle("its description is too large"));
            }
        }
    }

    fn step(&mut self, op: u8) -> Result<(), TorchError> {
        match op {
            0x80 => self.take::<1>().map(|_| ()), // PROTO
            0x95 => self.take::<8>().map(|_| ()), // FRAME
            b'(' => {
                self.stack.push(Slot::Mark);
                Ok(())
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(global(module, name)?))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (module, name) {
                    (Value::Text(module), Value::Text(name)) => {
                        self.push(Value::Global(global(module, name)?))
                    }
                    _ => Err(ORDER),
                }
            }
            b'X' | 0x8c | b'K' | b'M' | b'J' | 0x8a | 0x88 | 0x89 => self.literal(op),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember_or_recall(op),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.tuple_of(usize::from(op - 0x84)),
            b't' => {
                let marked = self.stack.iter().rposition(|slot| matches!(slot, Slot::Mark));
                let start = marked.ok_or(ORDER)?;
                self.tuple_of(self.stack.len() - start - 1)?;
                // The mark lies below the new tuple.
                self.stack.remove(start);
                Ok(())
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(storage(id)?)
            }
            b'R' => {
                let (args, call) = (self.pop()?, self.pop()?);
                self.push(reduce(&call, args)?)
            }
            _ => Err(TorchError::Pickle("its description uses an instruction tensors never need")),
        }
    }

    fn literal(&mut self, op: u8) -> Result<(), TorchError> {
        let value = match op {
            b'X' => {
                let len = u32::from_le_bytes(self.take()?);
                self.text(usize::try_from(len).map_err(|_| ENDS)?)?
            }
            0x8c => {
                let [len] = self.take()?;
                self.text(usize::from(len))?
            }
            b'K' => Value::Int(self.take::<1>()?[0].into()),
            b'M' => Value::Int(u16::from_le_bytes(self.take()?).into()),
            b'J' => Value::Int(u64::try_from(i32::from_le_bytes(self.take()?)).map_err(|_| ORDER)?),
            0x8a => self.long()?,
            _ => Value::Bool,
        };
        self.push(value)
    }

    /// A non-negative integer of up to 8 bytes and a sign byte.
    fn long(&mut self) -> Result<Value<'a>, TorchError> {
        let [len] = self.take()?;
        let bytes = self.slice(usize::from(len))?;
        if bytes.len() > 9 || bytes.last().is_some_and(|top| top & 0x80 != 0) {
            return Err(ORDER);
        }
        let value = bytes.iter().rev().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        u64::try_from(value).map(Value::Int).map_err(|_| ORDER)
    }

    fn remember_or_recall(&mut self, op: u8) -> Result<(), TorchError> {
        let number = match op {
            b'q' | b'h' => self.take::<1>()?[0].into(),
            b'r' | b'j' => u32::from_le_bytes(self.take()?),
            _ => u32::try_from(self.memo.len()).map_err(|_| ORDER)?,
        };
        let known = self.memo.iter().position(|(n, _)| *n == number);
        if matches!(op, b'h' | b'j') {
            let value = self.memo[known.ok_or(ORDER)?].1.clone();
            return self.push(value);
        }
        let Some(Slot::Value(value)) = self.stack.last() else { return Err(ORDER) };
        let value = value.clone();
        match known {
            Some(at) => self.memo[at].1 = value,
            None => self.memo.push((number, value)),
        }
        Ok(())
    }

    fn tuple_of(&mut self, count: usize) -> Result<(), TorchError> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), TorchError> {
        if value.count() > MAX_VALUES {
            return Err(TorchError::Pickle("its description is too large"));
        }
        self.stack.push(Slot::Value(value));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, TorchError> {
        match self.stack.pop() {
            Some(Slot::Value(value)) => Ok(value),
            _ => Err(ORDER),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ENDS)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], TorchError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(ENDS)?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self, len: usize) -> Result<Value<'a>, TorchError> {
        std::str::from_utf8(self.slice(len)?).map(Value::Text).map_err(|_| ORDER)
    }

    fn line(&mut self) -> Result<&'a str, TorchError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(ENDS)?;
        let line = std::str::from_utf8(self.slice(end)?).map_err(|_| ORDER)?;
        self.take::<1>()?;
        Ok(line)
    }
}

/// The name `module.name`, if it is one that tensors need.
fn global<'a>(module: &str, name: &'a str) -> Result<Global<'a>, TorchError> {
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
        ("torch", kind) if kind.ends_with("Storage") => Ok(Global::StorageType(kind)),
        _ => Err(TorchError::Pickle("its description calls something unknown")),
    }
}

/// The storage that a persistent id names: `('storage', torch.<type>, key, device, length)`.
fn storage(id: Value<'_>) -> Result<Value<'_>, TorchError> {
    let Value::Tuple(items) = id else { return Err(ORDER) };
    match items.as_slice() {
        [
            Value::Text("storage"),
            Value::Global(Global::StorageType(kind)),
            Value::Text(key),
            Value::Text(_device),
            Value::Int(len),
        ] => Ok(Value::Storage(Storage { kind, key, len: *len })),
        _ => Err(TorchError::Pickle("its storage is of an unknown kind")),
    }
}

/// The two calls that a tensor's description makes.
fn reduce<'a>(call: &Value<'a>, args: Value<'a>) -> Result<Value<'a>, TorchError> {
    let (Value::Global(call), Value::Tuple(args)) = (call, args) else { return Err(ORDER) };
    match call {
        Global::OrderedDict if args.is_empty() => Ok(Value::OrderedDict),
        Global::RebuildTensor => tensor(&args),
        _ => Err(TorchError::Pickle("its description calls something unknown")),
    }
}

fn tensor<'a>(args: &[Value<'a>]) -> Result<Value<'a>, TorchError> {
    const BAD: TorchError = TorchError::Pickle("its tensor is of an unknown kind");
    let [
        Value::Storage(Storage { kind, key, len }),
        Value::Int(offset),
        Value::Tuple(shape),
        Value::Tuple(strides),
        Value::Bool,
        Value::OrderedDict,
    ] = args
    else {
        return Err(BAD);
    };
    let (shape, strides) = (integers(shape).ok_or(BAD)?, integers(strides).ok_or(BAD)?);
    if shape.len() != strides.len() || shape.len() > MAX_DIMS {
        return Err(BAD);
    }
    Ok(Value::Tensor(Box::new(Description {
        storage_type: kind,
        key,
        storage_len: *len,
        offset: *offset,
        shape,
        strides,
    })))
}

fn integers(values: &[Value<'_>]) -> Option<Vec<u64>> {
    let integer = |value: &Value<'_>| if let Value::Int(n) = value { Some(*n) } else { None };
    values.iter().map(integer).collect()
}

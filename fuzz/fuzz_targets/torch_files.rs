//! Whole PyTorch files.
#![no_main]

use hearth::protocol::torch;
use libfuzzer_sys::fuzz_target;

const MOST: usize = 4096;

fuzz_target!(|data: &[u8]| {
    if let Ok(tensor) = torch::read(data, MOST) {
        assert!(tensor.count() <= MOST);
        assert_eq!(tensor.count(), tensor.shape.iter().product::<usize>());
        let values = tensor.to_bf16();
        let again = torch::write_bf16(&values, &tensor.shape).unwrap();
        assert_eq!(torch::read(&again, MOST).unwrap().to_bf16().len(), values.len());
    }
});

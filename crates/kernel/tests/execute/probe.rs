use pontoon_kernel::execute::Executor;
use pontoon_model::Step;
use pontoon_model::op::NftOp;
use pontoon_nft::syntax::{Command, DataType, Element, Elements, Family, Set, TableRef, Value};
use pontoon_testkit::sandboxed;

sandboxed! {
    fn probe(_host: Host) {
        let mut executor = Executor::open().unwrap();
        let table = TableRef::new(Family::Inet, "pontoon");
        let element = Elements::new(table.clone(), "x", [Element::new([Value::Ifname("a".into())])]);
        let step = Step::new(NftOp { commands: vec![Command::DestroyElements(element)] }, "x");
        println!("no table: {:?}", executor.run_all(&[step.clone()]));
        let make = Step::new(NftOp { commands: vec![Command::AddTable { table: table.clone(), comment: None }] }, "x");
        println!("make: {:?}", executor.run_all(&[make]));
        println!("no set: {:?}", executor.run_all(&[step.clone()]));
        let make = Step::new(NftOp { commands: vec![Command::AddSet { table: table.clone(), set: Set::new("x", [DataType::Ifname]) }] }, "x");
        println!("make: {:?}", executor.run_all(&[make]));
        println!("no element: {:?}", executor.run_all(&[step.clone()]));
        let destroy = Step::new(NftOp { commands: vec![Command::DestroyTable { table }] }, "x");
        println!("destroy: {:?}", executor.run_all(&[destroy.clone()]));
        println!("destroy: {:?}", executor.run_all(&[destroy]));
        panic!();
    }
}

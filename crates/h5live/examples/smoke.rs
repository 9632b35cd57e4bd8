fn main() -> h5live::Result<()> {
    let dir = std::env::args().nth(1).unwrap();
    let p = format!("{dir}/a.h5");
    let file = h5live::File::create(&p)?;
    let a = file.new_dataset::<f64>("entry/a").shape([0]).unlimited().chunks([16]).create()?;
    let g = file.new_dataset::<i32>("entry/g").shape([0, 10]).unlimited().chunks([4, 6]).shuffle().gzip(4).create()?;
    let t = file.new_dataset::<u16>("t").shape([0, 0]).resizable([None, None]).chunks([3, 5]).create()?;
    let fa = file.new_dataset::<i64>("fa").shape([10, 10]).chunks([3, 4]).create()?;
    fa.write(.., &(0..100).collect::<Vec<i64>>())?;
    let c = file.new_dataset::<f32>("c").shape([7]).create()?;
    c.write(2..5, &[1f32, 2., 3.])?;
    let s = file.new_dataset::<String>("s").shape([0]).unlimited().chunks([8]).create()?;
    file.set_attribute("title", "hello")?;
    a.set_attribute("units", "mm")?;
    a.set_attribute("v", [1i32, 2, 3])?;
    let live = file.go_live()?;
    t.resize([6, 7])?;
    t.write(.., &(0..42u16).collect::<Vec<_>>())?;
    for i in 0..5000u64 {
        a.append(&[i as f64])?;
        if i % 7 == 0 {
            g.append(&(0..20).map(|x| (i as i32) * 100 + x).collect::<Vec<_>>())?;
        }
        if i % 100 == 0 {
            s.append(&[format!("row {i}")])?;
        }
        live.publish()?;
    }
    println!("{:?} {:?}", a.shape(), g.shape());
    if std::env::args().nth(2).is_some() {
        std::process::abort()
    }
    live.close()
}

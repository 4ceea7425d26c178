//! Keys that expire together, and who sees them go.

/// Creates keys that expire, keeps them alive, lets go, and watches them die.
pub(crate) fn ttl(o: &Opt, threads: usize) {
    let made = spread(o, threads, Some(o.keys), 0);
    let held = spread(o, threads, None, o.keys);
    let mut sent_at = held.sent_at.clone();
    for (a, b) in sent_at.iter_mut().zip(&made.sent_at) {
        *a = (*a).max(*b);
    }
    let h = host(&o.urls[0]);
    let s = dial(&h).expect("watcher");
    let r = format!(
        "GET /v2/keys{}?wait=true&stream=true&recursive=true HTTP/1.1\r\nHost: {h}\r\n\r\n",
        o.prefix
    );
    write_some(s.as_raw_fd(), r.as_bytes()).unwrap();
    let ep = Epoll::new().unwrap();
    ep.add(s.as_raw_fd(), IN, 0).unwrap();
    let mut rd = Reader { stream: true, ..Default::default() };
    let mut lag = hist();
    let (mut gone, mut early) = (0u64, 0u64);
    let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 8];
    let stop = now_ns() + (o.ttl + 10) * 1_000_000_000;
    let last_due = sent_at.iter().max().copied().unwrap_or(0) + o.ttl * 1_000_000_000;
    let mut seen = vec![false; o.keys as usize];
    let mut last = 0u64;
    // The listing says what is gone however the watcher fares: the etcds drop
    // a stream watcher that is 100 events behind.
    let list = format!("GET /v2/keys{}?recursive=true HTTP/1.1\r\nHost: {h}\r\n\r\n", o.prefix);
    let (mut open, mut left, mut cleared, mut next_poll) = (true, o.keys as usize, 0u64, last_due);
    loop {
        let now = now_ns();
        let settled = left == 0 && (gone >= o.keys || !open || now > cleared + 500_000_000);
        if now >= stop || settled {
            break;
        }
        if now >= next_poll && left > 0 {
            let (_, _, b) = once(&h, &list);
            left = b.windows(3).filter(|x| x == b"/k0").count();
            if left == 0 {
                cleared = now_ns();
            }
            next_poll = now_ns() + 50_000_000;
        }
        ep.wait(&mut evs, Some(20_000_000));
        if !open {
            std::thread::sleep(std::time::Duration::from_millis(10));
            continue;
        }
        open = matches!(read_all(s.as_raw_fd(), &mut rd.buf), Ok(true));
        while matches!(rd.step(), Got::Chunk) {
            // several events may share a chunk
            for one in rd.body.split(|&b| b == b'\n') {
                if find(one, b"\"action\":\"expire\"").is_none() {
                    continue;
                }
                let now = now_ns();
                if let Some(p) = find(one, b"/k") {
                    let k = number_after(&one[p..], b"/k").unwrap_or(u64::MAX) as usize;
                    if k < seen.len() && !seen[k] {
                        seen[k] = true;
                        gone += 1;
                        last = now;
                        let due = sent_at[k] + o.ttl * 1_000_000_000;
                        if now < due {
                            early += 1;
                        }
                        lag.record((now.saturating_sub(due) / 1000).max(1)).ok();
                    }
                }
            }
        }
    }
    let clear_ms = cleared.saturating_sub(last_due) / 1_000_000;
    let extra = format!(
        ",\"create_rate\":{:.1},\"expired_seen\":{gone},\"early\":{early},\"unseen\":{},\"left\":{left},\
         \"all_gone_after_last_due_ms\":{clear_ms},\"last_seen_after_last_due_ms\":{}{}",
        made.ok as f64 / made.secs.max(1e-9),
        o.keys - gone,
        last.saturating_sub(last_due) / 1_000_000,
        pcts("lag", &lag)
    );
    report(o, "ttl", threads, &held, &extra);
}

//! What the daemon reads.

use pontoon_daemon::http::{LONGEST, parse};
use pontoon_engine::notice::Request;

/// [`parse`]: a request of HTTP.
pub fn http_request(data: &[u8]) {
    match parse(data) {
        Ok(Some(request)) => {
            assert!(
                request.path.starts_with('/') && request.path.bytes().all(|byte| byte.is_ascii_graphic())
            );
            assert!(request.path.len() <= data.len() && data.len() <= LONGEST);
            // What follows the end of a request does not change it.
            let more = [data, b"x"].concat();
            assert!(more.len() > LONGEST || parse(&more) == Ok(Some(request)));
        }
        Ok(None) => assert!(data.len() < LONGEST, "one that never ends is refused"),
        Err(refusal) => {
            let response = refusal.response();
            assert!((400..600).contains(&response.status));
            assert!(response.bytes(true).starts_with(b"HTTP/1.1 "));
        }
    }
}

/// A command's request to the daemon, as it comes over the control socket.
pub fn control_request(data: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(data) else { return };
    // What is understood is said in one way, and means the same then.
    let said = serde_json::to_vec(&request).expect("requests have no keys but strings");
    assert_eq!(serde_json::from_slice::<Request>(&said).expect("it was understood"), request);
}

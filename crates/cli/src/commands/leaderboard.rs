//! `gauntlet leaderboard`: the rows of any number of reports in one order.

use crate::arguments;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::report::{Folder, Leaderboard};
use serde_json::json;

pub(crate) fn leaderboard(session: &Session, arguments: &arguments::Leaderboard) -> Result<Code, Failure> {
    let (mut folders, mut unread) = (Vec::new(), Vec::new());
    for path in &arguments.reports {
        match Folder::read(path) {
            Ok(folder) => folders.push((path.display().to_string(), folder)),
            Err(error) if arguments.reports.len() > 1 => unread.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let named: Vec<(String, &Folder)> = folders.iter().map(|(path, folder)| (path.clone(), folder)).collect();
    let mut board = Leaderboard::of(&named)?;
    board.problems.splice(0..0, unread);
    if let Some(out) = &arguments.out {
        board.write(out)?;
    }
    session.result(
        || json!(board),
        || {
            // Into a file it goes as Markdown, which other programs show.
            let screen = session.screen();
            let mut text = if screen.width.is_some() { board.terminal(&screen) } else { board.markdown() };
            if let Some(out) = &arguments.out {
                let told = format!("written to {}: leaderboard.html, .md, .csv, .json", out.display());
                text += &format!("\n{}\n", screen.wrapped(&told));
            }
            text
        },
    )?;
    // A board that lacks a report is no lie, but a script must not take it for the whole.
    Ok(if board.problems.is_empty() { Code::Done } else { Code::Parts })
}

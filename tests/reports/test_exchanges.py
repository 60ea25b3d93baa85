import json
import subprocess

from payer_exchange.reports.exchanges import curl, read_exchanges, shown


def test_an_exchange_is_shown_with_the_command_that_repeats_it(entry):
    found = shown(entry)
    assert found.curl.splitlines() == [
        'curl -i -X POST "https://payer.example/fhir/Patient/$MEMBER/\\$export" \\',
        '  -H "Authorization: Bearer $TOKEN" \\',
        '  -H "Content-Type: application/fhir+json" \\',
        "  --data-binary @request.json",
    ]
    assert found.request.startswith("POST https://payer.example")
    assert found.response.endswith('{"a": "<b>"}')


def test_a_form_is_repeated_with_the_assertion_left_to_the_reader():
    form = "grant_type=client_credentials&client_assertion=********"
    post = {"mimeType": "application/x-www-form-urlencoded", "text": form}
    request = {"method": "POST", "url": "https://a.example/token", "headers": [], "postData": post}
    assert '--data "grant_type=client_credentials&client_assertion=$ASSERTION"' in curl(request)


def test_nothing_that_was_recorded_runs_in_the_readers_shell(tmp_path):
    url = 'https://a.example/?q="; $(touch x) `touch x` \\ \n touch x'
    command = curl({"method": "GET", "url": url, "headers": []})
    script = "curl() { printf '%s\\n' \"$@\"; }\n" + command
    told = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=10
    )
    assert told.stdout.splitlines()[-1] == url.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_a_long_body_is_cut(entry):
    entry["response"]["content"]["text"] = "x" * 7000
    assert "(1000 characters more in exchange.har)" in shown(entry).response


def test_exchanges_are_found_by_their_ids(tmp_path, entry):
    archive = tmp_path / "exchange.har"
    assert read_exchanges(archive) == {}
    archive.write_text(json.dumps({"log": {"entries": [entry]}}), encoding="utf-8")
    assert set(read_exchanges(archive)) == {"e0002"}
    archive.write_text("{", encoding="utf-8")
    assert read_exchanges(archive) == {}

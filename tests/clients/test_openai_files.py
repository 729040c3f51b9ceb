"""`/v1/files` and `/v1/vector_stores` with the official OpenAI client for Python."""
import io
import json
import os
import re
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import openai
import pytest
import requests
from conftest import URL

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from servers import EMBED, Candor, candor_path  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = Path(os.environ.get("CANDOR_SHARED") or ROOT.parent / "shared") / "data" / "documents"

LIGHTHOUSE = """The lighthouse of Alexandria was built in the third century before our era. It stood on the island of Pharos.
Sailors saw its fire from fifty kilometres away. An earthquake brought it down in the fourteenth century.
"""
HEAT = """Heat pumps move heat from a cold place to a warm place. A pump that draws one kilowatt of electricity often delivers
three or four kilowatts of heat. In deep frost it delivers less, and an electric heater helps.
"""
CHINESE = "《论语》是孔子的弟子记录孔子言行的书。全书共二十篇，成书于战国时期。\n"


def upload(client, text, name="notes.txt", purpose="assistants"):
    return client.files.create(file=(name, text if isinstance(text, bytes) else text.encode()), purpose=purpose)


def wait(client, file):
    for _ in range(300):
        file = client.files.retrieve(file.id)
        if file.status != "uploaded":
            return file
        time.sleep(0.1)
    raise AssertionError("the file was not read in 30 s")


def text(file, **query):
    return requests.get(f"{URL}/v1/files/{file.id}/text", params=query, timeout=30)


def raw(path):
    return requests.get(f"{URL}/v1{path}", timeout=30)


@pytest.fixture
def store(client):
    store = client.vector_stores.create(name="tests")
    yield store
    try:
        client.vector_stores.delete(store.id)
    except openai.NotFoundError:
        pass


# Files


def test_an_upload_is_kept_read_and_deleted(client):
    file = upload(client, LIGHTHOUSE)
    assert (file.object, file.filename, file.purpose, file.bytes) == ("file", "notes.txt", "assistants", len(LIGHTHOUSE))
    assert file.id.startswith("file-") and abs(file.created_at - time.time()) < 60
    assert client.files.content(file.id).read() == LIGHTHOUSE.encode()
    assert wait(client, file).status == "processed"
    answer = text(file)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8" and "Pharos" in answer.text
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
    for call in (client.files.retrieve, client.files.delete, client.files.content):
        with pytest.raises(openai.NotFoundError, match="there is no file"):
            call(file.id)
    assert text(file).status_code == 404


def test_files_are_listed_in_pages_by_purpose(client):
    made = [upload(client, f"{HEAT} Number {n}.", f"{n}.txt", "user_data") for n in range(3)]
    ids = [file.id for file in made]
    newest = [file.id for file in client.files.list(purpose="user_data", limit=2)]  # the client turns the pages
    assert newest[:3] == ids[::-1]
    page = client.files.list(purpose="user_data", order="asc", after=ids[0], limit=1)
    assert [file.id for file in page.data] == [ids[1]] and page.has_more
    assert all(file.purpose == "assistants" for file in client.files.list(purpose="assistants", limit=100).data)
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError):
            client.files.list(**wrong)
    for file in made:
        client.files.delete(file.id)


def test_parts_of_a_text_are_read_by_bytes(client):
    file = wait(client, upload(client, CHINESE, "论语.md"))
    assert file.filename == "论语.md"
    whole = text(file).content
    start = whole.index("孔子".encode())
    assert text(file, start=start, end=start + 6).text == "孔子"
    assert text(file, start=len(whole)).content == b""
    inside = text(file, start=start + 1, end=start + 6)
    assert inside.status_code == 400 and "within a character" in inside.json()["error"]["message"]
    assert text(file, start=0, end=len(whole) + 1).status_code == 400
    part = requests.get(f"{URL}/v1/files/{file.id}/text", headers={"Range": f"bytes={start}-{start + 5}"})
    assert (part.status_code, part.text) == (206, "孔子")
    assert part.headers["content-range"] == f"bytes {start}-{start + 5}/{len(whole)}"
    beyond = requests.get(f"{URL}/v1/files/{file.id}/text", headers={"Range": "bytes=99999-"})
    assert beyond.status_code == 416 and beyond.headers["content-range"] == f"bytes */{len(whole)}"
    client.files.delete(file.id)


@pytest.mark.parametrize(
    "name, kept",
    [("../../etc/passwd", "passwd"), ("C:\\Users\\me\\a.txt", "a.txt"), ("..", "file"), ("a b 'c' 报告.txt", "a b 'c' 报告.txt")],
)
def test_a_name_is_only_a_label(client, name, kept):
    file = upload(client, LIGHTHOUSE, name)
    assert file.filename == kept
    client.files.delete(file.id)


def form(body, kind="multipart/form-data; boundary=b"):
    return requests.post(f"{URL}/v1/files", data=body, headers={"Content-Type": kind}, timeout=30)


def part(name, value, file=None):
    named = b"" if file is None else b'; filename="' + file + b'"'
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + named + b"\r\n\r\n" + value + b"\r\n"


GOOD = part(b"purpose", b"assistants")


@pytest.mark.parametrize(
    "body, says",
    [
        (GOOD + part(b"file", b"", b"empty.txt") + b"--b--\r\n", "empty"),
        (GOOD + part(b"file", b"x", b"x" * 10_000) + b"--b--\r\n", "10000 characters"),
        (GOOD + part(b"file", b"x", b"\xff\xfe.txt") + b"--b--\r\n", "UTF-8"),
        (GOOD + part(b"file", b"x") + b"--b--\r\n", "file name"),
        (GOOD + b"--b--\r\n", "has no `file`"),
        (part(b"file", b"x", b"x.txt") + b"--b--\r\n", "`purpose` is missing"),
        (part(b"purpose", b"fine-tune") + part(b"file", b"x", b"x.txt") + b"--b--\r\n", "fine-tune"),
        (part(b"purpose", b"x" * 5000) + part(b"file", b"x", b"x.txt") + b"--b--\r\n", "longer than"),
        (GOOD + part(b"file", b"x", b"a") + part(b"file", b"x", b"b") + b"--b--\r\n", "one `file`"),
        (GOOD + part(b"expires_after[seconds]", b"3600") + part(b"file", b"x", b"x.txt") + b"--b--\r\n", "expires_after"),
        (GOOD + part(b"file", b"broken off", b"x.txt"), "broke off"),
        (b"no form at all", "broke off"),
        (b"", "broke off"),
    ],
)
def test_a_form_that_does_not_fit_is_refused_with_a_sentence(client, body, says):
    before = len(client.files.list(limit=10_000).data)
    answer = form(body)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]["message"], answer.text
    assert len(client.files.list(limit=10_000).data) == before


def test_what_is_no_form_is_refused():
    answer = form(b"{}", "application/json")
    assert answer.status_code == 415 and "multipart/form-data" in answer.json()["error"]["message"]


# What is found in documents, and what is not: the manifest says which is which.


def documents():
    """The shared documents with what their manifest says; none where they are not at hand and nobody insists."""
    if not DOCUMENTS.is_dir() and os.environ.get("CANDOR_REQUIRE_SHARED") != "1":
        print(f"not run: {DOCUMENTS} is not at hand")
        return []
    return json.loads((DOCUMENTS / "manifest.json").read_text(encoding="utf-8"))["documents"]


def plain(text):
    """As the manifest says to compare."""
    return re.sub(r"[\s\u200b\u00ad\u2010\u2011-]", "", unicodedata.normalize("NFKC", text))


def test_documents_are_read_or_refused_as_their_manifest_says(client, store):
    entries = {entry["file"]: entry for entry in documents()}
    if not entries:
        return
    paths = [DOCUMENTS / name for name in entries]
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=paths)
    assert batch.file_counts.total == len(entries) and batch.status == "completed"
    members = {member.id: member for member in client.vector_stores.files.list(store.id, limit=100)}
    for file in [client.files.retrieve(id) for id in members]:
        entry, member = entries[file.filename], members[file.id]
        expect, words = entry["expect"], [plain(part) for part in entry["must_contain"] or []]
        if expect == "text":
            assert member.status == "completed", (file.filename, member.last_error)
            read = plain(text(file).text)
            assert all(part in read for part in words), file.filename
        elif expect in ("no_text", "password_needed", "error"):
            assert (member.status, file.status) == ("failed", "error"), file.filename
            assert len(member.last_error.message) > 10 and file.status_details == member.last_error.message
            assert expect != "password_needed" or "password" in member.last_error.message
            answer = text(file)
            assert answer.status_code == 404 and "no text" in answer.json()["error"]["message"]
        assert client.files.content(file.id).read() == (DOCUMENTS / file.filename).read_bytes()
    found = client.vector_stores.search(store.id, query="If you read this text, you will get no information.").data[0]
    piece = found.content[0]
    assert found.filename == "four_pages.pdf" and piece.page >= 1
    assert text(client.files.retrieve(found.file_id), start=piece.start, end=piece.end).text == piece.text
    for id in members:
        client.files.delete(id)


def test_a_file_of_an_unknown_kind_fails_as_unsupported(client, store):
    file = upload(client, bytes(range(256)) * 20, "machine.bin")
    added = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    assert (added.status, added.last_error.code) == ("failed", "unsupported_file")
    client.files.delete(file.id)


# Vector stores


def test_a_vector_store_is_made_changed_listed_and_deleted(client):
    file = upload(client, LIGHTHOUSE)
    store = client.vector_stores.create(name="one", file_ids=[file.id], metadata={"a": "b"}, description="what it is")
    assert store.id.startswith("vs_") and (store.object, store.name, store.metadata) == ("vector_store", "one", {"a": "b"})
    assert store.file_counts.total == 1 and store.status in ("in_progress", "completed")
    changed = client.vector_stores.update(store.id, name="two", metadata={"c": "d"})
    assert (changed.name, changed.metadata) == ("two", {"c": "d"})
    wait(client, file)
    fetched = client.vector_stores.retrieve(store.id)
    assert fetched.status == "completed" and fetched.file_counts.completed == 1 and fetched.usage_bytes == file.bytes
    other = client.vector_stores.create(name="later")
    listed = [one.id for one in client.vector_stores.list(limit=1, after=other.id)]
    assert listed[0] == store.id
    assert [one.id for one in client.vector_stores.list(before=store.id, limit=1).data] == [other.id]
    assert client.vector_stores.delete(store.id).deleted
    for call in (client.vector_stores.retrieve, client.vector_stores.delete):
        with pytest.raises(openai.NotFoundError, match="there is no vector store"):
            call(store.id)
    assert client.files.retrieve(file.id).id == file.id  # files stay
    client.vector_stores.delete(other.id)
    client.files.delete(file.id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x" * 201},
        {"metadata": {str(n): "x" for n in range(17)}},
        {"metadata": {"k" * 65: "x"}},
        {"metadata": {"k": "v" * 513}},
        {"expires_after": {"anchor": "last_active_at", "days": 1}},
        {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}},
        {"file_ids": ["file-x"] * 2001},
    ],
)
def test_what_a_vector_store_cannot_have_is_refused(client, wrong):
    with pytest.raises(openai.BadRequestError) as refused:
        client.vector_stores.create(**wrong)
    assert refused.value.param == next(iter(wrong))


def test_unknown_ids_are_a_clean_404(client, store):
    file = upload(client, HEAT)
    calls = [
        lambda: client.vector_stores.create(file_ids=["file-nope"]),
        lambda: client.vector_stores.files.create(store.id, file_id="file-nope"),
        lambda: client.vector_stores.files.create("vs_nope", file_id=file.id),
        lambda: client.vector_stores.files.retrieve(file.id, vector_store_id=store.id),
        lambda: client.vector_stores.files.delete(file.id, vector_store_id=store.id),
        lambda: client.vector_stores.files.list("vs_nope"),
        lambda: client.vector_stores.files.content(file.id, vector_store_id=store.id).data,
        lambda: client.vector_stores.file_batches.create(store.id, file_ids=[file.id, "file-nope"]),
        lambda: client.vector_stores.file_batches.retrieve("vsfb_nope", vector_store_id=store.id),
        lambda: client.vector_stores.search("vs_nope", query="heat"),
    ]
    for call in calls:
        with pytest.raises(openai.NotFoundError):
            call()
    assert client.vector_stores.retrieve(store.id).file_counts.total == 0  # a batch is taken in whole or not at all
    client.files.delete(file.id)


def test_a_file_in_a_vector_store_has_attributes_and_a_text(client, store):
    file = upload(client, LIGHTHOUSE)
    added = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, attributes={"year": 2020, "draft": False})
    assert (added.status, added.attributes, added.vector_store_id) == ("completed", {"year": 2020, "draft": False}, store.id)
    assert added.chunking_strategy.type == "other" and added.usage_bytes == file.bytes
    changed = client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"kind": "memo"})
    assert changed.attributes == {"kind": "memo"}
    assert "Pharos" in client.vector_stores.files.content(file.id, vector_store_id=store.id).data[0].text
    assert [one.id for one in client.vector_stores.files.list(store.id, filter="completed")] == [file.id]
    assert client.vector_stores.files.list(store.id, filter="failed").data == []
    for wrong in ({"k": "v" * 513}, {"k" * 65: 1}, {str(n): n for n in range(17)}, {"k": ["list"]}):
        with pytest.raises(openai.BadRequestError):
            client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes=wrong)
    assert client.vector_stores.files.delete(file.id, vector_store_id=store.id).deleted
    assert client.vector_stores.search(store.id, query="lighthouse").data == []
    client.files.delete(file.id)


def test_batches_are_waited_for_listed_and_cancelled(client, store):
    files = [("a.txt", LIGHTHOUSE.encode()), ("b.txt", HEAT.encode()), ("c.bin", bytes(range(256)) * 20)]
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=files)
    assert batch.id.startswith("vsfb_") and batch.status == "completed"
    counts = batch.file_counts
    assert (counts.completed, counts.failed, counts.in_progress, counts.total) == (2, 1, 0, 3)
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="completed")
    assert len(listed.data) == 2
    cancelled = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    assert cancelled.status == "completed"  # it had ended
    long = upload(client, HEAT * 2000, "long.txt")
    batch = client.vector_stores.file_batches.create(store.id, files=[{"file_id": long.id, "attributes": {"n": 1}}])
    batch = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    assert (batch.status, batch.file_counts.cancelled) == ("cancelled", 1)
    assert client.vector_stores.files.retrieve(long.id, vector_store_id=store.id).status == "cancelled"
    for wrong in ({"file_ids": []}, {"file_ids": [long.id], "files": [{"file_id": long.id}]}, {}):
        with pytest.raises(openai.BadRequestError):
            client.vector_stores.file_batches.create(store.id, **wrong)
    # One that is put in again is searched again.
    again = client.vector_stores.files.create_and_poll(long.id, vector_store_id=store.id)
    assert again.status == "completed"
    for one in client.vector_stores.files.list(store.id):
        client.files.delete(one.id)
    assert client.vector_stores.retrieve(store.id).file_counts.total == 0


def test_a_search_is_kept_to_a_store_and_to_attributes(client, store):
    ids = {}
    for name, words, attributes in [("lighthouse", LIGHTHOUSE, {"year": 1300, "kind": "sea"}), ("heat", HEAT, {"year": 2020, "kind": "home"})]:
        file = upload(client, words, f"{name}.txt")
        ids[name] = file.id
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, attributes=attributes)

    def found(query, **more):
        return [one.file_id for one in client.vector_stores.search(store.id, query=query, **more).data]

    page = client.vector_stores.search(store.id, query="How far could sailors see the fire?")
    first = page.data[0]
    assert page.object == "vector_store.search_results.page" and page.search_query == ["How far could sailors see the fire?"]
    assert (first.file_id, first.attributes, first.content[0].type) == (ids["lighthouse"], {"year": 1300, "kind": "sea"}, "text")
    assert 0 < first.score <= 1 and [one.score for one in page.data] == sorted((one.score for one in page.data), reverse=True)
    home = {"type": "eq", "key": "kind", "value": "home"}
    assert found("sailors", filters=home) == [ids["heat"]]
    assert found("sailors", filters={"type": "lt", "key": "year", "value": 2000}) == [ids["lighthouse"]]
    both = {"type": "and", "filters": [home, {"type": "gt", "key": "year", "value": 2021}]}
    assert found("heat", filters=both) == []
    assert found("heat", filters={"type": "or", "filters": [both, {"type": "in", "key": "kind", "value": ["sea"]}]}) == [ids["lighthouse"]]
    assert set(found(["sailors and fire", "kilowatts of electricity"])) == set(ids.values())
    assert len(found("heat fire", max_num_results=1)) == 1
    assert found("heat pumps electricity", ranking_options={"ranker": "auto", "score_threshold": 0.99}) == [ids["heat"]]
    assert set(found("heat fire", ranking_options={"ranker": "none"})) == set(found("heat fire"))
    assert found("heat pumps", rewrite_query=True)[0] == ids["heat"]
    for wrong in (
        {"query": ""}, {"query": []}, {"query": "x" * 5000}, {"query": "x", "max_num_results": 51}, {"query": "x", "max_num_results": 0},
        {"query": "x", "filters": {"type": "like", "key": "a", "value": "b"}}, {"query": "x", "filters": {"type": "and", "filters": []}},
        {"query": "x", "ranking_options": {"score_threshold": 2}}, {"query": "x", "ranking_options": {"ranker": "other"}},
    ):
        with pytest.raises(openai.BadRequestError):
            client.vector_stores.search(store.id, **wrong)
    other = client.vector_stores.create(name="other")
    assert client.vector_stores.search(other.id, query="heat").data == []
    client.vector_stores.delete(other.id)
    # What is deleted is not found any more, and says so.
    client.files.delete(ids["heat"])
    assert ids["heat"] not in found("heat pumps electricity")
    client.files.delete(ids["lighthouse"])


def test_a_file_may_be_deleted_at_any_moment(client, store):
    for pause in (0, 0.02, 0.2):
        file = upload(client, HEAT * 500, "going.txt")
        client.vector_stores.files.create(store.id, file_id=file.id)
        time.sleep(pause)
        client.files.delete(file.id)
        assert raw(f"/files/{file.id}").status_code == 404
        assert client.vector_stores.retrieve(store.id).file_counts.total == 0
        assert client.vector_stores.search(store.id, query="heat").data == []
    after = client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("after.txt", io.BytesIO(LIGHTHOUSE.encode())))
    assert after.status == "completed"
    client.files.delete(after.id)


def test_two_uploads_of_the_same_bytes_are_two_files(client):
    one, two = upload(client, LIGHTHOUSE, "one.txt"), upload(client, LIGHTHOUSE, "two.txt")
    assert one.id != two.id
    wait(client, one)
    client.files.delete(one.id)
    assert wait(client, two).status == "processed"
    assert client.files.content(two.id).read() == LIGHTHOUSE.encode()
    client.files.delete(two.id)


# Restarts and neighbours


def own_client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


def test_a_server_that_is_killed_loses_no_upload_and_goes_on_with_the_rest(tmp_path):
    names = {f"{n:02}.txt": f"{HEAT * 40} Document number {n} speaks of topic{n}." for n in range(24)}
    with Candor(tmp_path, models=[EMBED]) as server:
        client = own_client(server)
        store = client.vector_stores.create(name="kept")
        acknowledged = []
        for name, words in names.items():
            acknowledged.append(upload(client, words, name).id)
            client.vector_stores.files.create(store.id, file_id=acknowledged[-1])
        server.kill()  # -9, while most of them wait to be read
    # An import on the command line may run beside the server that comes back.
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "sea.txt").write_text(LIGHTHOUSE)
    with Candor(tmp_path, models=[EMBED]) as server:
        client = own_client(server)
        adding = subprocess.run(
            [candor_path(), "sources", "add", "--collection", "imported", folder], env=server.env, capture_output=True, text=True, timeout=300
        )
        assert adding.returncode == 0, adding.stderr
        assert [file.id for file in client.files.list(order="asc", limit=24).data] == acknowledged
        for _ in range(1200):
            counts = client.vector_stores.retrieve(store.id).file_counts
            if counts.in_progress == 0:
                break
            time.sleep(0.1)
        assert (counts.completed, counts.total) == (24, 24)
        for n in (0, 11, 23):
            assert client.vector_stores.search(store.id, query=f"topic{n}", max_num_results=1).data[0].filename == f"{n:02}.txt"
        assert client.files.content(acknowledged[5]).read() == names["05.txt"].encode()
        # What the command line imported is a vector store as well.
        imported = next(one for one in client.vector_stores.list() if one.name == "imported")
        assert imported.file_counts.completed == 1
        found = client.vector_stores.search(imported.id, query="lighthouse").data[0]
        assert found.filename == "sea.txt"
        with pytest.raises(openai.NotFoundError, match="are not kept"):
            client.files.content(found.file_id)


def test_a_file_that_is_too_large_is_refused_with_the_limit(tmp_path):
    with Candor(tmp_path, models=[EMBED], config="[server]\nmax_upload_bytes = 1000000\n") as server:
        client = own_client(server)
        for size in (1_000_001, 20_000_000):
            with pytest.raises(openai.APIStatusError) as refused:
                upload(client, b"x" * size, "big.txt")
            assert refused.value.status_code == 413 and "1000000 bytes" in refused.value.message
        assert upload(client, b"x " * 500_000, "fits.txt").bytes == 1_000_000
        assert len(client.files.list().data) == 1

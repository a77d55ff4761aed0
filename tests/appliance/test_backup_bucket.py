"""The copy in a bucket, on an S3 of loopback with outages: nothing goes over twice, and nothing half-done counts."""

import shutil
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from backup_world import DAY, Repository, bucket_at, lay_dump, quiet

from appliance.backup import bucket as bucket_module
from appliance.backup import copying, sealed
from appliance.backup.bucket import BucketError

moto_server = pytest.importorskip("moto.server")
NOW = 1_800_000_000.0
MB = 1 << 20
PROXY = Path(__file__).parents[1] / "system/s3_proxy.py"


@pytest.fixture(scope="module")
def port():
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def there(port, monkeypatch):
    """Return the bucket, empty, as it is seen past every fault."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    direct = bucket_at(port)
    subprocess.run(["curl", "-sfo", "/dev/null", "-X", "POST", f"http://localhost:{port}/moto-api/reset"], check=True)  # noqa: S603, S607
    direct.client.create_bucket(Bucket="backups")
    return direct


@pytest.fixture
def repository(tmp_path, monkeypatch):
    return Repository(tmp_path / "repository", monkeypatch.setattr)


class Proxy:
    """The way to the S3, with faults."""

    def __init__(self, target: int, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.directory = directory
        self.fault("pass")
        self.process = subprocess.Popen([sys.executable, PROXY, str(self.port), str(target), directory])  # noqa: S603
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.02)  # it has no word for "I am there"
            else:
                return

    def fault(self, mode: str) -> None:
        (self.directory / "mode").write_text(mode)

    def sent(self) -> int:
        return int((self.directory / "sent").read_text())


@pytest.fixture
def proxy(port, tmp_path):
    one = Proxy(port, tmp_path)
    yield one
    one.process.terminate()
    one.process.wait()


def begin(there, key: str) -> None:
    upload = there.client.create_multipart_upload(Bucket="backups", Key=key)["UploadId"]
    there.client.upload_part(Bucket="backups", Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 5 * MB)


def parts(there) -> int:
    return sum(len(there.begun(one["Key"])[1]) for one in there.uploads(""))


def test_an_upload_that_was_cut_goes_on_where_it_was(there, proxy, repository, monkeypatch):
    """Four files at once over four connections: what arrived before the cut does not go over again."""
    monkeypatch.setattr(bucket_module, "PART_BYTES", 5 * MB)
    monkeypatch.setattr(copying, "CONNECTIONS", 4)
    repository.take(NOW)
    for number in range(4):
        repository.write(f"backup/luckygas/{repository.backups[0].label}/bundle/{number}", bytes([number]) * 20 * MB)
    proxy.fault(f"cut {50 * MB}")
    with pytest.raises(BucketError):
        copying.copy(bucket_at(proxy.port), quiet)
    assert not there.keys("repository/backup/luckygas/backup.info")
    arrived = parts(there)
    assert arrived >= 4
    proxy.fault("pass")
    copying.copy(bucket_at(proxy.port), quiet)
    assert proxy.sent() < (16 - arrived) * 5 * MB + MB
    assert {key.removeprefix("repository/") for key in there.keys()} == repository.files()  # noqa: SIM118
    assert list(there.uploads("")) == []
    print(f"\n{arrived} of 16 parts were there; {proxy.sent() / MB:.1f} MB went over in the second run")


def test_a_part_that_is_another_one_now_is_sent_again(there, tmp_path, monkeypatch):
    monkeypatch.setattr(bucket_module, "PART_BYTES", 5 * MB)
    begin(there, "one")
    (tmp_path / "one").write_bytes(b"y" * 6 * MB)
    there.upload("one", tmp_path / "one")
    assert there.get("one") == b"y" * 6 * MB


def test_no_object_has_more_parts_than_s3_takes():
    for size in (1, 160 << 30, 5 << 40):
        assert -(-size // bucket_module.part_bytes(size)) <= bucket_module.MAX_PARTS


def test_uploads_that_nobody_goes_on_with_are_aborted_after_a_day(there, monkeypatch):
    begin(there, "repository/old")
    begin(there, "of/others")
    monkeypatch.setattr(bucket_module, "ABANDONED", timedelta(days=100 * 365))
    assert there.abort_abandoned(copying.PREFIX) == 0
    monkeypatch.undo()  # the S3 of the tests dates every upload to 2010
    assert there.abort_abandoned(copying.PREFIX) == 1
    assert [one["Key"] for one in there.uploads("")] == ["of/others"]


def test_an_endpoint_that_names_the_bucket_gets_it_there(there, port, monkeypatch):
    asked, resolve = [], socket.getaddrinfo

    def here(host, *rest, **options):
        asked.append(host)
        return resolve("localhost", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    virtual = bucket_at(port, host="backups.localhost")
    virtual.put("one", b"content")
    assert asked == ["backups.localhost"]
    assert there.get("one") == b"content"


@pytest.mark.parametrize("mode", ["refuse", f"cut {2 * MB}"])
def test_an_outage_leaves_the_list_as_it_was(there, proxy, repository, mode):
    repository.take(NOW)
    assert copying.copy(bucket_at(proxy.port), quiet) == [repository.backups[0].label]
    before = there.get("repository/backup/luckygas/backup.info")
    repository.take(NOW + DAY, b"p" * 3 * MB)
    proxy.fault(mode)
    with pytest.raises(BucketError):
        copying.copy(bucket_at(proxy.port), quiet)
    assert there.get("repository/backup/luckygas/backup.info") == before
    proxy.fault("pass")
    copying.copy(bucket_at(proxy.port), quiet)
    assert {key.removeprefix("repository/") for key in there.keys()} == repository.files()  # noqa: SIM118


def test_a_missing_bucket_is_said(there, repository):
    repository.take(NOW)
    there.client.delete_bucket(Bucket="backups")
    with pytest.raises(BucketError, match="there is no such bucket"):
        copying.copy(there, quiet)


def test_each_day_the_bucket_holds_what_is_here(there, repository, tmp_path):
    """Sixteen days of backups, WAL and dumps, with their retention: exactly what should be there is there."""
    dumps = tmp_path / "sealed"
    dumps.mkdir()
    for day in range(16):
        now = NOW + day * DAY
        repository.take(now)
        lay_dump(dumps, now)
        sealed.expire(now, quiet, dumps)
        labels = copying.copy(there, quiet) + sealed.copy(there, now, quiet, dumps)
        here = {f"repository/{name}" for name in repository.files()} | {f"sealed/{one.name}" for one in dumps.iterdir()}
        assert set(there.keys()) == here
        assert len(labels) == len(repository.backups) + len(list(dumps.iterdir()))
        # Any moment of the last seven days can be gone back to, and no more than two weeks are kept for that.
        assert min(day, 7) <= (now - repository.backups[0].ended) / DAY < 14
        assert len(list(dumps.iterdir())) == min(day + 1, 7)


def test_what_merely_vanished_here_stays_in_the_bucket(there, repository, tmp_path):
    repository.take(NOW)
    files = [lay_dump(tmp_path, NOW + day * DAY) for day in range(3)]
    copying.copy(there, quiet)
    sealed.copy(there, NOW, quiet, tmp_path)
    before = set(there.keys())
    files[1].unlink()
    repository.push()
    next(repository.archive.rglob("0*-*.zst")).rename(tmp_path / "lost")
    copying.copy(there, quiet)
    sealed.copy(there, NOW, quiet, tmp_path)
    assert before <= set(there.keys())
    for file in files:
        file.unlink(missing_ok=True)
    sealed.copy(there, NOW, quiet, tmp_path)
    assert before <= set(there.keys())


def test_a_repository_that_was_begun_anew_drops_nothing_of_the_bucket(there, repository):
    """A disk was lost, and the playbook began another repository of the same database."""
    for day in range(3):
        repository.take(NOW + day * DAY)
        copying.copy(there, quiet)
    newest, before = repository.backups[-1].label, {key: there.get(key) for key in there.keys()}  # noqa: SIM118
    repository.begin_anew(NOW + 4 * DAY)
    with pytest.raises(BucketError, match=f"{newest}, of which the repository here knows nothing.*another bucket"):
        copying.copy(there, quiet)
    assert {key: there.get(key) for key in there.keys()} == before  # noqa: SIM118


def test_a_machine_that_went_on_from_the_bucket_knows_what_is_in_it(there, repository, monkeypatch, tmp_path):
    """Also when it let go of the newest of that before it copied again."""
    repository.take(NOW)
    copying.copy(there, quiet)
    shutil.rmtree(repository.directory)
    monkeypatch.setattr(copying, "FETCHED", repository.directory)
    copying.fetch(there, None, quiet)
    repository.backups.clear()
    repository.take(NOW + DAY)
    copying.copy(there, quiet)


def test_after_a_long_outage_all_that_is_in_the_bucket_is_older_and_goes(there, repository):
    repository.take(NOW)
    copying.copy(there, quiet)
    for day in range(1, 30):
        repository.take(NOW + day * DAY)
    copying.copy(there, quiet)
    assert {key.removeprefix("repository/") for key in there.keys()} == repository.files()  # noqa: SIM118


def test_dumps_of_a_machine_before_this_one_stay_for_their_week(there, tmp_path):
    old = [lay_dump(tmp_path, NOW + day * DAY) for day in range(3)]
    sealed.copy(there, NOW, quiet, tmp_path)
    for file in old:
        file.unlink()
    lay_dump(tmp_path, NOW + 4 * DAY)
    sealed.copy(there, NOW + 4 * DAY, quiet, tmp_path)
    assert {f"sealed/{file.name}" for file in old} <= set(there.keys())
    sealed.copy(there, NOW + 8 * DAY, quiet, tmp_path)
    assert {f"sealed/{file.name}" for file in old} & set(there.keys()) == {f"sealed/{old[2].name}"}


def test_a_download_that_is_cut_again_and_again_is_said(there, proxy, tmp_path, monkeypatch):
    there.put("one", b"x" * 3 * MB)
    proxy.fault(f"truncate {MB}")
    with pytest.raises(BucketError):
        bucket_at(proxy.port).download("one", tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_dump_comes_back_from_the_bucket(there, tmp_path):
    file = lay_dump(tmp_path, NOW)
    sealed.copy(there, NOW, quiet, tmp_path)
    label = file.name.removesuffix(".dump.gpg")
    found = sealed.find(label, there, tmp_path / "fetched")
    assert found.file.read_bytes() == b"rows"
    with pytest.raises(sealed.SealError, match="there is no luckygas-20200101-000000 in http"):
        sealed.find("luckygas-20200101-000000", there, tmp_path / "fetched")

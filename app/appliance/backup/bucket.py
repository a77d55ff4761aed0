"""One S3 bucket: files in, files out. Uploads go on where they were broken off, and the other side checks each part."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

SETTINGS_FILE = Path("/etc/luckygas/s3.json")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # an authority of one's own belongs among the machine's
PART_BYTES = 16 << 20
MAX_PARTS = 10_000  # that S3 takes of one object
ABANDONED = timedelta(days=1)
DELETED_AT_ONCE = 1000
REASONS = {
    "NoSuchBucket": "there is no such bucket",
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "it refuses the secret key",
    "AccessDenied": "it refuses access",
    "403": "it refuses access",
    "404": "there is no such bucket or object",
}


class BucketError(Exception):
    """The other side is away, or refuses; the message says which and why."""


@dataclass(frozen=True)
class Settings:
    """Where the bucket is, and who we are there."""

    endpoint: str
    bucket: str
    region: str
    access_key: str
    secret_key: str

    @classmethod
    def load(cls, file: Path = SETTINGS_FILE) -> Self | None:
        """Read the file that Ansible (role pgbackrest) writes; without it there is no bucket."""
        return cls(**json.loads(file.read_text())) if file.exists() else None


class Bucket:
    """The bucket; every failure comes out as a BucketError."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet. boto3 is imported here: nothing else needs it."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        self.name = settings.bucket
        host = urlsplit(settings.endpoint).hostname or ""
        virtual = host.startswith(f"{settings.bucket}.")  # an endpoint that names the bucket wants it there
        endpoint = settings.endpoint.replace(f"//{settings.bucket}.", "//", 1) if virtual else settings.endpoint
        self.where = f"{settings.endpoint} bucket {settings.bucket}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            verify=AUTHORITIES,
            config=Config(
                connect_timeout=10,
                read_timeout=30,
                retries={"max_attempts": 4, "mode": "standard"},
                s3={"addressing_style": "virtual" if virtual else "path"},
                # Newer checksums are refused by many an S3 that is not Amazon's; MD5 is checked by all.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn what boto3 raises into a sentence."""
        from boto3.exceptions import Boto3Error  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except ClientError as problem:
            code = problem.response.get("Error", {}).get("Code", "")
            raise BucketError(f"{self.where}: {REASONS.get(code, str(problem))}") from problem
        except (BotoCoreError, Boto3Error) as problem:
            raise BucketError(f"{self.where}: {problem}") from problem

    def keys(self, prefix: str = "") -> dict[str, int]:
        """Return what is there, with its sizes."""
        with self.told():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}

    def put(self, key: str, content: bytes) -> None:
        """Write a small object."""
        with self.told():
            self.client.put_object(
                Bucket=self.name, Key=key, Body=content, ContentMD5=md5(content), ServerSideEncryption="AES256"
            )

    def upload(self, key: str, file: Path) -> None:
        """Write a file; one that takes several parts goes on where an earlier run got to."""
        size = file.stat().st_size
        if size <= PART_BYTES:
            self.put(key, file.read_bytes())
            return
        with self.told(), file.open("rb") as source:
            upload, parts = self.begun(key)
            number = 0
            while content := source.read(part_bytes(size)):
                number += 1
                if parts.get(number) != hashlib.md5(content, usedforsecurity=False).hexdigest():
                    where = {"Bucket": self.name, "Key": key, "UploadId": upload, "PartNumber": number}
                    sent = self.client.upload_part(**where, Body=content, ContentMD5=md5(content))
                    # The other side's word for it: no digest of ours where it encrypts by a key of its own.
                    parts[number] = sent["ETag"].strip('"')
            whole = [{"PartNumber": one, "ETag": f'"{parts[one]}"'} for one in range(1, number + 1)]
            self.client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload, MultipartUpload={"Parts": whole}
            )

    def begun(self, key: str) -> tuple[str, dict[int, str]]:
        """Return the upload of this key that is under way, and the digests of its parts; a new one if there is none."""
        for one in self.uploads(key):
            if one["Key"] == key:
                where = {"Bucket": self.name, "Key": key, "UploadId": one["UploadId"]}
                pages = self.client.get_paginator("list_parts").paginate(**where)
                parts = [part for page in pages for part in page.get("Parts", [])]
                return one["UploadId"], {part["PartNumber"]: part["ETag"].strip('"') for part in parts}
        new = self.client.create_multipart_upload(Bucket=self.name, Key=key, ServerSideEncryption="AES256")
        return new["UploadId"], {}

    def uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the uploads that are under way."""
        for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix):
            yield from page.get("Uploads", [])

    def abort_abandoned(self, prefix: str) -> int:
        """End the uploads that nobody went on with for a day, whose parts would be paid for ever; return how many."""
        with self.told():
            before = datetime.now(UTC) - ABANDONED
            abandoned = [one for one in self.uploads(prefix) if one["Initiated"] < before]
            for one in abandoned:
                self.client.abort_multipart_upload(Bucket=self.name, Key=one["Key"], UploadId=one["UploadId"])
        return len(abandoned)

    def get(self, key: str) -> bytes:
        """Return a small object."""
        with self.told():
            return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def download(self, key: str, file: Path) -> None:
        """Read an object into a file, which has its name only when it is whole."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.partial")
        with self.told():
            self.client.download_file(self.name, key, str(partial))
        partial.replace(file)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        left = list(keys)
        with self.told():
            for start in range(0, len(left), DELETED_AT_ONCE):
                some = [{"Key": key} for key in left[start : start + DELETED_AT_ONCE]]
                self.client.delete_objects(Bucket=self.name, Delete={"Objects": some, "Quiet": True})


def part_bytes(size: int) -> int:
    """Return how large the parts of a file are; the same for every run."""
    return max(PART_BYTES, -(-size // MAX_PARTS))


def md5(content: bytes) -> str:
    """Return the digest by which the other side checks what arrives."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()

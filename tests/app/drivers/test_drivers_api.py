from flask.testing import FlaskClient

PATH = "/api/v1/drivers"
BODY = {
    "name": "林志強",
    "mobile": "0922-333-444",
    "plate": "RBC-2288",
    "capacity_kg": 1200,
    "principal": "key:ab12cd34",
    "is_active": True,
}


def test_a_driver_is_created_read_and_listed(client: FlaskClient) -> None:
    created = client.post(PATH, json=BODY)
    assert created.status_code == 201
    assert created.json.items() >= (BODY | {"mobile": "0922333444", "version": 1}).items()
    assert client.get(created.location).json == created.json
    assert client.get(PATH).json["items"] == [created.json]


def test_a_change_holds_against_the_version_that_it_saw(client: FlaskClient) -> None:
    place = client.post(PATH, json=BODY).location
    changed = client.put(place, json=BODY | {"is_active": False}, headers={"If-Match": '"1"'})
    assert (changed.json["is_active"], changed.json["version"]) == (False, 2)
    assert client.put(place, json=BODY, headers={"If-Match": '"1"'}).status_code == 412
    assert client.put(f"{PATH}/999999", json=BODY, headers={"If-Match": '"1"'}).status_code == 404


def test_nobody_acts_as_two_drivers(client: FlaskClient) -> None:
    client.post(PATH, json=BODY)
    assert client.post(PATH, json=BODY).json["errors"][0]["field"] == "principal"
    assert client.post(PATH, json=BODY | {"principal": None}).status_code == 201
